"""The scopes of a dataset: the whole workspace, or channel ids."""

from __future__ import annotations

import re

from finetune.data.ticket import DatasetError

SCOPE = re.compile(r"workspace|channel:[A-Z0-9]{1,32}")


def check_scopes(scopes: frozenset[str]) -> None:
    """DatasetError unless the scopes name at least one of them and nothing else."""
    wrong = sorted(scope for scope in scopes if not SCOPE.fullmatch(scope))
    if wrong or not scopes:
        wrong_scopes = f", not to {', '.join(scope[:40] for scope in wrong)!r}" if wrong else ""
        message = f"A dataset belongs to the workspace or to channels{wrong_scopes}."
        raise DatasetError(message, what_next="Name a channel by its id, such as C0123ABC.")
