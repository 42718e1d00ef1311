"""The domain of models on duty in Slack: which message is a ticket, what the card says, who may do what."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bot.slack.duty_outcome import outcome_lines
from bot.slack.retraining import Lesson, judged_tickets, measured_gain, proposal
from bot.slack.services import Services
from bot.slack.ui.duty import DutyCard, message_text
from bot.slack.ui.escape import question_of, visible
from bot.slack.users import Person
from finetune.evaluation.on_duty import DutyFigures, Observation, figures_of, new_words
from finetune.evaluation.promise import Threshold, audit_share
from finetune.serving.answers import Answer, ServedModel
from finetune.serving.versions import VersionError, Versions, names_served
from worker.ledger import duty
from worker.ledger.duty import DutyTicket, Label, Watch

SPOKEN = (None, "file_share", "bot_message")
MONTH_S = 30 * 86_400.0
IN_DOUBT = "it is in doubt about itself, so people look at all its answers"
LEAST_NEW = 5  # tickets near no training ticket before they are told of
log = logging.getLogger(__name__)


def ticket_in(message: Mapping[str, Any], bot_user: str) -> str | None:
    """The words of a message that is a ticket: new, of its own, not ours and not said to us; None for every other."""
    if message.get("subtype") not in SPOKEN or message.get("user") == bot_user or message.get("hidden"):
        return None
    if message.get("thread_ts") not in (None, message.get("ts")):
        return None
    text = message_text(message)
    return None if f"<@{bot_user}>" in text or not text.strip() else question_of(text)


def without_personal_data(text: str) -> str:
    """The ticket as it is kept: personal data and keys replaced by their kind."""
    from finetune.data.redact import redact_texts
    from finetune.serving.ticket_text import LONGEST

    return redact_texts([text[:LONGEST]])[0]


def words_from_elsewhere(text: str) -> str:
    """The words of another system's ticket as they are kept: printable, and without personal data."""
    return without_personal_data(visible(text).encode("utf-8", "replace").decode())


def key_of(channel: str, ts: str) -> str:
    """What a ticket of a channel is known by."""
    return f"{channel}:{ts}"


def may_correct(services: Services, watch: Watch, person: Person) -> str | None:
    """Why this person may not correct the model, or None."""
    if denial := services.permissions.denies_outsider(person):
        return denial
    if watch.correctors == "everyone" or person.id == watch.by or services.permissions.is_admin(person):
        return None
    return "Only admins and whoever put this model on duty may correct it."


def find_version(place: Path, version: str) -> Path | None:
    """The folder of a version that is whole, whatever name it is served as; None where there is none yet."""
    for name in names_served(place):
        try:
            versions = Versions(place, name)
            if version in versions.list():
                return versions.folder_of(version)
        except VersionError:
            continue
    return None


def load_model(place: Path, watch: Watch, reserve: float = 0.0) -> ServedModel | None:
    """The watch's model under its promise less the share in reserve, with the threshold that was set since.

    Under the whole promise where no threshold keeps less. None while its version is missing.
    """
    from finetune.serving.deploy import load_version

    folder = find_version(place, watch.version)
    if folder is None:
        return None
    model = load_version(folder, watch.error_rate * (1 - reserve))
    if reserve and model.threshold.value is None:
        model = load_version(folder, watch.error_rate)
    model.threshold = threshold_of(watch, model.threshold)
    return model


def threshold_of(watch: Watch, own: Threshold) -> Threshold:
    """The threshold that was set since on the watch's labels, else the version's own; above 1 stands for none."""
    if watch.threshold is None:
        return own
    return replace(own, value=None if watch.threshold > 1 else watch.threshold)


def answer_to(model: ServedModel, ticket: DutyTicket) -> Answer:
    """The model's answer; where it breaks on a ticket it abstains, so that the ticket goes to people and no other waits."""
    try:
        return model.answer(ticket.text)
    except Exception as error:  # the edge: each library has its own; no text, as it may quote the ticket
        log.error("the model of watch %s failed on a ticket (%s)", ticket.watch_id, type(error).__name__)
        return Answer(None, 0.0, (), "it failed on this ticket")


def confidences_of(model: ServedModel | None) -> np.ndarray:
    """The confidences that the model's threshold was set on."""
    return np.asarray(getattr(model, "confidences", ()), dtype=float)


def observations_of(
    tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]
) -> list[Observation]:
    """The settled tickets as what a promise is judged on, the oldest first."""
    rows = [observation_of(one, labels.get(one.key, ())) for one in tickets if one.state != duty.DELETED]
    return [one for one in rows if one is not None]


def observation_of(ticket: DutyTicket, words: Sequence[Label]) -> Observation | None:
    """A settled ticket with people's words on it, the first one first; None where no model could read it."""
    if ticket.confidence is None:
        return None
    truth = duty.verdict_on(words)
    best = ticket.likeliest[0][0] if ticket.likeliest else None
    right = None if truth is None else truth == best
    word_at = words[0].at if words else 0.0  # the first word: a second one moves nothing
    facts = (ticket.confidence, ticket.queue is not None, ticket.is_near, ticket.is_audit, right, word_at)
    return Observation(*facts, is_alone=ticket.reason != IN_DOUBT)


def share_to_check(count: int, first: float, watch: Watch, now: float) -> float:
    """The share of tickets to show to people where `count` came since `first`: 5%, more while a month has few."""
    seconds = min(MONTH_S, max(86_400.0, now - first))
    return audit_share(count * MONTH_S / seconds, watch.error_rate)


def card_of(services: Services, watch: Watch, model: ServedModel | None) -> DutyCard:
    """The figures of all its tickets, everything that people said, what is new in words, and whether to retrain."""
    engine, now = services.ledger.engine, services.clock()
    tickets, labels = duty.tickets_of(engine, watch.id), duty.labels_of(engine, watch.id)
    observations = observations_of(tickets, labels)
    figures: DutyFigures = figures_of(observations)
    waits = [one for one in tickets if one.state == duty.WAITING]
    splits = sum(len({label.queue for label in words}) > 1 for words in labels.values())
    behind = now - waits[0].created_at if waits else 0.0
    outcome = outcome_lines(services, watch, observations, figures)
    lines = tuple(filter(None, (*outcome, news_line(tickets), queues_line(tickets, labels))))
    words = (
        ""
        if watch.successor or model is None
        else _proposal(services, watch, model, judged_tickets(tickets, labels))
    )
    if watch.successor:
        lines = (*lines, f"Its successor is being trained: job {watch.successor}.")
    return DutyCard(watch, figures, len(labels), splits, len(waits), behind, lines, words)


def _proposal(services: Services, watch: Watch, model: ServedModel, rows: Sequence[Lesson]) -> str:
    gain = measured_gain(model, rows)
    if gain is None:
        return ""
    return proposal(*gain, sum(not one.is_fresh for one in rows), services.ledger.job(watch.version))


def news_line(tickets: Sequence[DutyTicket]) -> str:
    """Drift in words: `New: 14 tickets about invoice, mahnung in German`; "" where nothing is new."""
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


def queues_line(tickets: Sequence[DutyTicket], labels: Mapping[str, Sequence[Label]]) -> str:
    """The queues in which people correct the model most, by share of the answers that they judged."""
    counts: dict[str, list[int]] = {}
    for one in tickets:
        truth = duty.verdict_on(labels.get(one.key, ()))
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


def fresh_watch(channel: str, team: str, by: str, form: Mapping[str, Any], now: float | None = None) -> Watch:
    """A watch as it is asked for; `form` has job_id, dataset, error_rate, mode and correctors."""
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
