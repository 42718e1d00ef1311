"""Some of the replies that a container says its model wrote, written again at home by the model that came back.

Covers a report that is of another model, or made up. Does not cover the scores of the tickets that are not drawn; greedy writing on
other hardware may leave the same words after a while, so replies are compared by chrF and not by equality.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.data.ticket import Tickets
from finetune.evaluation.metrics import chrf
from finetune.model_size import size_of
from finetune.reports.finetune import FinetuneReport
from finetune.tasks.reply.data import prepare
from finetune.tasks.reply.run import PAIR_TEXT

if TYPE_CHECKING:
    from finetune.spec import Spec

MAX_REPLIES, ALLOWED_S = 5, 300.0
MAX_PARAMETERS = 1.5e9
"""Of a base model that a bot's machine loads for this: about 6 GB in float32."""
MIN_LIKENESS = 0.6
"""Mean chrF, 0 to 1: the same model on other hardware comes out near 1, another model seldom above one half."""


def recheck(
    spec: Spec,
    tickets: Tickets,
    folder: Path,
    report: Mapping[str, Any],
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """One sentence for the report: how near the replies written here come to the container's, or why none was written."""
    parameters = size_of(spec.base_model).parameters
    if parameters is None or parameters > MAX_PARAMETERS:
        return "The container's figures were not checked here: the base model is too large for that, or of unknown size."
    held_out = {text[-PAIR_TEXT:]: text for text in prepare(spec, tickets).test.tickets}
    pairs = FinetuneReport.from_json(report).pairs.rows
    if strange := sum(pair.ticket not in held_out for pair in pairs):
        return f"The container quotes {strange} tickets that were not held out: do not rely on its figures."
    if not pairs:
        return "The container's figures were not checked here: it quotes no replies."
    from finetune.tasks.reply.model import load_tuned

    model, began = load_tuned(folder), clock()
    replies: list[str] = []
    for pair in pairs[:MAX_REPLIES]:
        if replies and clock() - began > ALLOWED_S:
            break
        replies += model.answers([held_out[pair.ticket]])
    theirs = [pair.tuned for pair in pairs[: len(replies)]]
    ours = [text[:PAIR_TEXT] for text in replies]
    same = sum(a.strip() == b.strip() for a, b in zip(ours, theirs, strict=True))
    likeness = sum(1.0 if a == b else x for a, b, x in zip(ours, theirs, chrf(ours, theirs), strict=True))
    share = float(likeness) / len(ours)
    words = f"{len(ours)} of the container's replies were written again here by the model that came back: {same} are the same"
    if share < MIN_LIKENESS:
        return f"{words}, and the others differ too much (chrF {share:.0%}): do not rely on its figures."
    return f"{words}, the likeness is {share:.0%} (chrF)."
