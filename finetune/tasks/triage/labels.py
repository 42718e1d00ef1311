"""What a set of labels must have before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from finetune.errors import TrainingDataError


def refuse_single_tickets(labels: Sequence[str]) -> None:
    """Refuse rows without two queues of at least two tickets: a single ticket cannot be both trained on and tested."""
    often = sum(count > 1 for count in Counter(labels).values())
    if often < 2:
        raise TrainingDataError(
            f"Of {len(set(labels))} queue(s), {often or 'none'} has more than one ticket, so there is nothing to "
            "learn and test with. Add tickets: 50 or more of a queue make it learnable."
        )
