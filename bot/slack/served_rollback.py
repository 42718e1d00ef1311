"""Rolls the served version back when it breaks its promise on duty and the previous version kept it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.slack.on_duty import find_version, observations_of
from finetune.errors import FinetuneError
from finetune.evaluation.alarms import exceeds_promised_rate
from finetune.evaluation.duty_monitoring import checks_of
from finetune.serving.versions import VersionError, Versions
from worker.ledger.duty import DutyTicket, Label, Watch

LEAST_CHECKS = 20  # checked answers of the previous version; fewer do not show that it kept the promise


def roll_back_served_version(
    versions_folder: Path, watch: Watch, tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]
) -> str:
    """Moves the pointer to the previous version if it kept the promise; returns a sentence on what was done.

    `tickets` are all tickets of the watch, with those of earlier versions. Returns "" when the watch's version is not served.
    """
    folder = find_version(versions_folder, watch.version)
    if folder is None:
        return ""
    versions = Versions(versions_folder, folder.parents[1].name)
    try:
        pointer = versions.pointer()
    except VersionError:
        return ""
    why = f"broken promise of {watch.version} on duty in {watch.channel}"
    is_rolled_back = (
        pointer.why == why and pointer.at >= watch.mode_at
    )  # done by another bot, or before a crash
    if pointer.current != watch.version and not is_rolled_back:
        return ""
    before = pointer.current if is_rolled_back else pointer.previous
    what = f"What is served over HTTP as `{versions.name}`"
    earlier = [one for one in tickets if one.version == before]
    checks = checks_of(observations_of(earlier, labels))
    wrong = sum(not right for right in checks)
    kept_promise = (
        len(checks) >= LEAST_CHECKS
        and wrong <= watch.error_rate * len(checks)
        and not exceeds_promised_rate(checks, watch.error_rate)
    )
    try:
        is_rolled_back = is_rolled_back or (
            kept_promise and versions.roll_back(why, watch.version) is not None
        )
    except (OSError, FinetuneError) as error:  # the model goes back to shadow anyway
        reason = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
        return f"{what} could not be taken back ({reason}): an operator runs `trainwise versions {versions.name} --back`."
    if not is_rolled_back:
        return (
            f"{what} stays at {watch.version}: no version before it is known to have kept the promise here. "
            f"`trainwise versions {versions.name} --back` takes it off all the same."
        )
    return (
        f"{what} goes back from {watch.version} to {before}, which kept the promise here ({wrong} of {len(checks)} checked "
        "answers wrong). A running server follows within seconds."
    )
