"""Passages: cut, embedded, stored, found."""
