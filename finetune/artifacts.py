"""The files of a finished run: their names, and where its model lies."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from finetune.errors import CorruptModel

CARD = "trainwise.json"
MODEL, BEFORE = "model", "before"
LINEAR_HALF = "linear"  # of a blended triage model: its folder beside the network's files
REPORT = "report.json"  # of a run; written last
SPENT = "spent.json"  # time and money of the attempts before this one
BASE = "base.txt"  # the hub's commit of the base model that the run began with
TRAINED = "trained.json"  # what training came to, kept for a run that is resumed after it
FIRST_ROW = "first-row.txt"  # of a reply run: the first training row as the model reads it, what the loss counts in ⟦ ⟧
PROMPTED, JUDGED = "prompts.json", "judge.json"  # paid answers of a language model, never asked twice


def find_model(folder: Path) -> Path:
    """The folder of the finished model in a job's folder: its own, its `model`, or its newest attempt's."""
    places = [folder, folder / MODEL, *(path / MODEL for path in folder.glob("*"))]
    candidates = [place for place in places if (place / CARD).is_file()]
    if not candidates:
        raise CorruptModel(f"{folder} holds no finished model: run the job again.")
    if len(candidates) > 1 and candidates[0] in places[:2]:
        return candidates[0]
    return max(candidates, key=lambda place: (place / CARD).stat().st_mtime)


def sha256_of(file: Path) -> str:
    """The file's sha256 in hex, read in pieces."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_whole(file: Path, text: str) -> None:
    """Write the file in one step: a reader finds the old text or all of the new, whenever this process dies."""
    draft = file.with_name(file.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def read_card(folder: Path) -> dict[str, Any]:
    """The small file that says what the model is; written last, so its absence means half-done work."""
    try:
        card = json.loads((folder / CARD).read_text())
        return {"task": card["task"], "method": card["method"], **card}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptModel(f"{folder} holds no finished model: run the job again.") from error
