"""Models on duty in Slack: which messages are tickets, the model's answers, the card's figures, who may correct."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bot.slack.duty_outcome import outcome_lines
from bot.slack.retraining import JudgedTicket, estimate_gain, judged_tickets, retrain_proposal
from bot.slack.services import Services
from bot.slack.ui.duty import DutyCard, message_text
from bot.slack.ui.escape import question_of, visible
from bot.slack.users import Person
from finetune.evaluation.duty_monitoring import DutyFigures, Observation, figures_of, new_words
from finetune.evaluation.promise import Threshold, audit_share
from finetune.serving.answers import Answer, ServedModel
from finetune.serving.versions import VersionError, Versions, names_served
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Label, Watch

TICKET_SUBTYPES = (None, "file_share", "bot_message")
MONTH_S = 30 * 86_400.0
IN_DOUBT = "it is in doubt about itself, so people look at all its answers"
LEAST_NEW = 5  # tickets far from every training ticket before the card shows them
log = logging.getLogger(__name__)


def ticket_in(message: Mapping[str, Any], bot_user: str) -> str | None:
    """The text of a message that is a ticket: a new top-level message, not ours and not addressed to us; else None."""
    if (
        message.get("subtype") not in TICKET_SUBTYPES
        or message.get("user") == bot_user
        or message.get("hidden")
    ):
        return None
    if message.get("thread_ts") not in (None, message.get("ts")):
        return None
    text = message_text(message)
    return None if f"<@{bot_user}>" in text or not text.strip() else question_of(text)


def without_personal_data(text: str) -> str:
    """The text for storage: personal data and keys are replaced by their kind."""
    from finetune.data.redact import redact_texts
    from finetune.serving.ticket_text import LONGEST

    return redact_texts([text[:LONGEST]])[0]


def clean_external_text(text: str) -> str:
    """The text of another system's ticket for storage: printable, and without personal data."""
    return without_personal_data(visible(text).encode("utf-8", "replace").decode())


def ticket_key(channel: str, ts: str) -> str:
    """The ledger's key of a channel's ticket."""
    return f"{channel}:{ts}"


def denies_correction(services: Services, watch: Watch, person: Person) -> str | None:
    """The denial for a person who may not correct the model, or None."""
    if denial := services.permissions.denies_outsider(person):
        return denial
    if watch.correctors == "everyone" or person.id == watch.by or services.permissions.is_admin(person):
        return None
    return "Only admins and whoever put this model on duty may correct it."


def find_version(versions_folder: Path, version: str) -> Path | None:
    """The folder of a complete version, under any served name; None when it does not exist yet."""
    for name in names_served(versions_folder):
        try:
            versions = Versions(versions_folder, name)
            if version in versions.list():
                return versions.folder_of(version)
        except VersionError:
            continue
    return None


def load_model(versions_folder: Path, watch: Watch, reserve: float = 0.0) -> ServedModel | None:
    """Loads the watch's model for its promised error rate less `reserve`, with the watch's recalibrated threshold.

    Under the whole promise where no threshold keeps less. None while its version is missing.
    """
    from finetune.serving.deploy import load_version

    folder = find_version(versions_folder, watch.version)
    if folder is None:
        return None
    model = load_version(folder, watch.error_rate * (1 - reserve))
    if reserve and model.threshold.value is None:
        model = load_version(folder, watch.error_rate)
    model.threshold = threshold_of(watch, model.threshold)
    return model


def threshold_of(watch: Watch, own: Threshold) -> Threshold:
    """The watch's recalibrated threshold, else the version's own; a value above 1 means that no threshold is safe."""
    if watch.threshold is None:
        return own
    return replace(own, value=None if watch.threshold > 1 else watch.threshold)


def answer_to(model: ServedModel, ticket: DutyTicket) -> Answer:
    """The model's answer; an abstention when the model fails on this ticket, so that people get it."""
    try:
        return model.answer(ticket.text)
    except Exception as error:  # the edge: each library has its own; no text, as it may quote the ticket
        log.error("the model of watch %s failed on a ticket (%s)", ticket.watch_id, type(error).__name__)
        return Answer(None, 0.0, (), "it failed on this ticket")


def confidences_of(model: ServedModel | None) -> np.ndarray:
    """The confidences of the rows that the model's threshold was set on."""
    return np.asarray(getattr(model, "confidences", ()), dtype=float)


def observations_of(
    tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]
) -> list[Observation]:
    """The answered tickets as observations for the promise's check, oldest first."""
    rows = [observation_of(one, labels.get(one.key, ())) for one in tickets if one.state != duty.DELETED]
    return [one for one in rows if one is not None]


def observation_of(ticket: DutyTicket, words: Sequence[Label]) -> Observation | None:
    """The observation of an answered ticket with its labels, oldest label first; None when the model failed on it."""
    if ticket.confidence is None:
        return None
    truth = duty.majority_queue(words)
    best = ticket.likeliest[0][0] if ticket.likeliest else None
    right = None if truth is None else truth == best
    word_at = words[0].at if words else 0.0  # the time of the first label; later labels do not change it
    facts = (ticket.confidence, ticket.queue is not None, ticket.is_near, ticket.is_audit, right, word_at)
    return Observation(*facts, is_alone=ticket.reason != IN_DOUBT)


def share_to_check(count: int, first: float, watch: Watch, now: float) -> float:
    """The share of tickets that people check, for `count` tickets since `first`: 5%, more when a month has few tickets."""
    seconds = min(MONTH_S, max(86_400.0, now - first))
    return audit_share(count * MONTH_S / seconds, watch.error_rate)


def card_of(services: Services, watch: Watch, model: ServedModel | None) -> DutyCard:
    """The watch's card: figures of all tickets, labels, new topics, and the proposal to retrain."""
    engine, now = services.ledger.engine, services.clock()
    tickets, labels = duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id)
    observations = observations_of(tickets, labels)
    figures: DutyFigures = figures_of(observations)
    waiting = [one for one in tickets if one.state == duty.WAITING]
    disagreements = sum(len({label.queue for label in words}) > 1 for words in labels.values())
    oldest_wait_s = now - waiting[0].created_at if waiting else 0.0
    outcome = outcome_lines(services, watch, observations, figures)
    lines = tuple(filter(None, (*outcome, new_topics_line(tickets), corrections_line(tickets, labels))))
    words = (
        ""
        if watch.successor or model is None
        else _proposal(services, watch, model, judged_tickets(tickets, labels))
    )
    if watch.successor:
        lines = (*lines, f"Its successor is being trained: job {watch.successor}.")
    return DutyCard(watch, figures, len(labels), disagreements, len(waiting), oldest_wait_s, lines, words)


def _proposal(services: Services, watch: Watch, model: ServedModel, rows: Sequence[JudgedTicket]) -> str:
    gain = estimate_gain(model, rows)
    if gain is None:
        return ""
    return retrain_proposal(*gain, sum(not one.is_fresh for one in rows), services.ledger.job(watch.version))


def new_topics_line(tickets: Sequence[DutyTicket]) -> str:
    """The line on drift: `New: 14 tickets about invoice, mahnung in German`; "" when nothing is new."""
    from finetune.data.languages import NAMES
    from finetune.serving.ticket_text import language_of

    rows = [one for one in tickets if one.confidence is not None and one.text]
    far = [one.text for one in rows if not one.is_near]
    if len(far) < LEAST_NEW:
        return ""
    words = new_words(far, [one.text for one in rows if one.is_near])
    codes = [code for text in far if (code := language_of(text)) and code != "en"]
    language = max(set(codes), key=codes.count) if len(codes) > len(far) / 2 else ""
    about = f" about {', '.join(words)}" if words else ""
    return f"New: {len(far)} tickets{about}{f' in {NAMES.get(language, language)}' if language else ''}, near none it was trained on."


def corrections_line(tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]) -> str:
    """The line on the queues that people correct most, by share of judged answers."""
    counts: dict[str, list[int]] = {}
    for one in tickets:
        truth = duty.majority_queue(labels.get(one.key, ()))
        if truth is None or not one.likeliest:
            continue
        best = one.likeliest[0][0]
        right, total = counts.setdefault(best, [0, 0])
        counts[best] = [right + (truth == best), total + 1]
    weak = sorted(
        (right / total, name, total - right, total)
        for name, (right, total) in counts.items()
        if total >= 3 and right < total
    )
    if not weak:
        return ""
    parts = [f"{name} ({wrong} of {total})" for _, name, wrong, total in weak[:3]]
    return f"Corrected most: {', '.join(parts)}."


def new_watch(channel: str, team: str, by: str, form: Mapping[str, Any], now: float | None = None) -> Watch:
    """A requested watch; `form` has job_id, dataset, error_rate, mode and correctors."""
    now = time.time() if now is None else now
    return Watch(
        id="",
        channel=channel,
        team=team,
        job_id=str(form["job_id"]),
        dataset=str(form["dataset"]),
        version=str(form["job_id"]),
        error_rate=float(form["error_rate"]),
        mode=duty.ASKED,
        wish=str(form["mode"]),
        correctors=str(form["correctors"]),
        by=by,
        created_at=now,
        mode_at=now,
        read_ts=f"{now:.6f}",
    )
