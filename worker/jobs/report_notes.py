"""The notes of a stored report: sentences that are added after it was written. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def notes_of(report: Mapping[str, Any]) -> list[Any]:
    """The report's notes; [] where it has none or something else in their place."""
    notes = report.get("notes")
    return notes if isinstance(notes, list) else []


def with_notes(report: Mapping[str, Any], *notes: str) -> dict[str, Any]:
    """A copy of the report with these notes behind its own."""
    return {**report, "notes": [*notes_of(report), *notes]}
