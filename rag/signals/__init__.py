"""Reads typed signals from messy text."""
