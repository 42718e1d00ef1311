"""What is served over HTTP goes back by itself where its promise breaks on duty and the version before has kept it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.slack.on_duty import find_version, observations_of
from finetune.errors import FinetuneError
from finetune.evaluation.alarms import breaks_its_promise
from finetune.evaluation.on_duty import checks_of
from finetune.serving.versions import VersionError, Versions
from worker.ledger.duty import DutyTicket, Label, Watch

LEAST_CHECKS = 20  # answers of the version before that people looked at; fewer say nothing of a promise


def roll_served_back(
    place: Path, watch: Watch, tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]
) -> str:
    """Move the pointer where the watch's version is the served one, newer than one that kept the promise; what was done, in words.

    `tickets` are all of the watch's, also those that earlier versions answered. "" where this version is not the served one.
    """
    folder = find_version(place, watch.version)
    if folder is None:
        return ""
    versions = Versions(place, folder.parents[1].name)
    try:
        pointer = versions.pointer()
    except VersionError:
        return ""
    why = f"broken promise of {watch.version} on duty in {watch.channel}"
    is_back = pointer.why == why and pointer.at >= watch.mode_at  # by another bot, or before a crash
    if pointer.current != watch.version and not is_back:
        return ""
    before = pointer.current if is_back else pointer.previous
    what = f"What is served over HTTP as `{versions.name}`"
    earlier = [one for one in tickets if one.version == before]
    checks = checks_of(observations_of(earlier, labels))
    wrong = sum(not right for right in checks)
    has_kept = (
        len(checks) >= LEAST_CHECKS
        and wrong <= watch.error_rate * len(checks)
        and not breaks_its_promise(checks, watch.error_rate)
    )
    try:
        is_back = is_back or (has_kept and versions.roll_back(why, watch.version) is not None)
    except (OSError, FinetuneError) as error:  # the model has to leave its duty all the same
        reason = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        return f"{what} could not be taken back ({reason}): an operator runs `trainwise versions {versions.name} --back`."
    if not is_back:
        return (
            f"{what} stays at {watch.version}: no version before it is known to have kept the promise here. "
            f"`trainwise versions {versions.name} --back` takes it off all the same."
        )
    return (
        f"{what} goes back from {watch.version} to {before}, which kept the promise here ({wrong} of {len(checks)} checked "
        "answers wrong). A running server follows within seconds."
    )
