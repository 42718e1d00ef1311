"""Imports a file as a dataset, with progress and cancel; resumes where an earlier import was interrupted.

Runs here or in a subprocess, so that a million rows do not occupy the bot's process.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from finetune.data.card import Card
from finetune.data.checkpoints import Checkpoints, drop_stale
from finetune.data.prepare import prepare
from finetune.data.reading import read_file
from finetune.data.store import DatasetStore, check_name
from finetune.data.ticket import DatasetError
from finetune.errors import FinetuneError, Stopped
from finetune.progress import Emit, Progress, ShouldStop

IMPORTS = "imports"  # in the home folder: finished parts of imports that were cut off
LOOK_S, EVERY_S = 0.3, 0.5
CUT_OFF = "The import ended before its time (the machine was out of memory, or somebody ended it). Nothing was added."


@dataclass(frozen=True)
class ImportOrder:
    """What to add to the store at `url`, by whom and for whom; `work` is the folder for parts of interrupted imports."""

    url: str
    work: Path
    path: Path
    name: str
    added_by: str
    scopes: frozenset[str]
    licence: str
    columns: Mapping[str, str]
    problems_to: Path
    part: str | None = None
    several: str = "first"


def add_file(
    order: ImportOrder, emit: Emit, should_stop: ShouldStop = lambda: None, every_s: float = EVERY_S
) -> Card:
    """Import the file and return its card. Raises Stopped when asked to; importing the same file again then resumes.

    `every_s` limits how often it reports and checks.
    """
    drop_stale(order.work)
    progress = Progress(emit, should_stop, every_s=every_s)
    checkpoints = Checkpoints(order.work / order.name)
    store = DatasetStore(
        order.url,
        prepare=partial(prepare, progress=progress, checkpoints=checkpoints),
        progress=progress,
    )
    check_name(order.name)
    columns = dict(order.columns)
    tickets = read_file(order.path, columns, order.problems_to, order.part, progress, order.several)
    whose = order.name, order.added_by, order.scopes, order.licence
    card = store.keep(tickets, *whose, order.path.name, order.problems_to)
    checkpoints.clear()
    return card


def add_file_in_subprocess(order: ImportOrder, emit: Emit, should_stop: ShouldStop) -> Card:
    """`add_file` in a subprocess, which is killed when `should_stop` gives a reason."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(order, there), daemon=True)
    child.start()
    there.close()
    try:
        return _listen(here, emit, should_stop)
    finally:
        child.terminate()
        child.join()
        here.close()


def _listen(pipe: Connection, emit: Emit, should_stop: ShouldStop) -> Card:
    while True:
        reason = should_stop()
        if not pipe.poll(0 if reason else LOOK_S):
            if reason:
                raise Stopped(reason)
            continue
        try:
            kind, value = pipe.recv()
        except EOFError:
            raise DatasetError(CUT_OFF, what_next="Add the file again: it goes on where it was.") from None
        if reason and kind == "event":  # a finished import counts as added, not as cancelled
            continue
        if kind == "card":
            return Card.from_json(value)
        if kind == "refused":
            raise value
        emit(value)


def _work(order: ImportOrder, pipe: Connection) -> None:
    """In the child: sends events, then the card or the error."""

    def send(kind: str, value: Any) -> None:
        with suppress(BrokenPipeError):
            pipe.send((kind, value))

    emit: Callable[[dict[str, Any]], None] = partial(send, "event")
    try:
        send("card", add_file(order, emit).to_json())
    except FinetuneError as refused:
        send("refused", refused)
