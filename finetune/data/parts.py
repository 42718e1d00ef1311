"""The part of a file that is read, where it has several: a workbook's sheet, an archive's file."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from finetune.data.ticket import DatasetError


def choose_part(path: Path, parts: list[tuple[str, str]], part: str | None, what: str) -> str:
    """The part that is asked for, or the only one. Raises DatasetError that names them."""
    names = [name for name, _ in parts]
    listing = ", ".join(f"{name!r}{about}" for name, about in parts[:10])
    if part is not None:
        for name in names:
            if part.casefold() in (name.casefold(), PurePosixPath(name).name.casefold()):
                return name
        raise DatasetError(f"{path.name} has no {what} {part!r}.", what_next=f"It has: {listing or 'none'}.")
    if not names:
        raise DatasetError(
            f"{path.name} holds no {what} of tickets.", what_next="Put a CSV file into it, or send that."
        )
    if len(names) > 1:
        message = f"{path.name} holds {len(names)} {what}s: {listing}."
        way = f'Say which one with --part "{names[0]}"; for Slack, save it as a file of its own.'
        raise DatasetError(message, what_next=way)
    return names[0]
