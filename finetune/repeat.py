"""How to run a recipe again: the command with every setting spelled out, for the model card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPTIONS = ("task", "base_model", "method", "epochs", "learning_rate", "seed", "budget_usd")
NOT_SAID = (
    "dataset",
    "digest",
)  # the digest stands in the place of the name, which may mean other rows by now


def command(spec: Mapping[str, Any], digest: str) -> str:
    """The shell command that repeats `spec` on the rows of `digest`, one setting a line.

    Defaults are spelled out too: another version of the code may have others.
    """
    given = {name: value for name, value in spec.items() if name not in NOT_SAID and value is not None}
    options = [f"--{name.replace('_', '-')} {_word(given[name])}" for name in OPTIONS if name in given]
    others = [f"--set {name}={_word(value)}" for name, value in given.items() if name not in OPTIONS]
    return " \\\n  ".join([f"trainwise finetune {digest} --here", *options, *others])


def _word(value: Any) -> str:
    import shlex

    return {"True": "yes", "False": "no"}.get(str(value)) or shlex.quote(str(value))
