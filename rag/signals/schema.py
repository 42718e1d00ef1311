"""The signals of a question about "should we train?": typed values, each with its quote.

Every signal may be unknown (None). Readers fill them and `rag.advice.decide` decides from them; this module has no
weights. Source of the vocabulary: docs/decisions.md, "The advisor's signals".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Topic = Literal["decision", "guide", "document", "concierge", "other", "people", "injection"]
Task = Literal["classify", "extract", "reply", "summarise", "qa", "search", "translate", "code", "foundation"]
Gap = Literal[
    "knowledge",
    "style",
    "format",
    "accuracy",
    "cost",
    "latency",
    "offline",
    "ambition",
    "capability",
    "vague",
]
Baseline = Literal["not_tried", "tried_ok", "tried_fail"]
Volatility = Literal["daily", "weekly", "monthly", "static"]
MeasuredBest = Literal["small_model", "prompt", "fine_tune", "nothing"]
Skill = Literal["none", "some", "strong", "research"]


class Signals(BaseModel):
    """The signals of a thread so far; `quotes[name]` holds the user's words behind a value.

    Units: tokens for kb/prompt/pretrain sizes, calls per calendar month, US dollars, milliseconds,
    percent (0-100) for score and target.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: Topic | None = Field(
        None,
        description="decision: about building or training; guide: a factual question about machine learning; "
        "document: a fact that the team's own documents answer; concierge: about this bot itself",
    )
    task: Task | None = Field(None, description="what the model does")
    gaps: tuple[Gap, ...] = Field(
        (), description="what is wrong or wanted, most important first; vague: unsaid"
    )
    volatility: Volatility | None = Field(None, description="how often the facts change")
    kb_tokens: int | None = Field(None, ge=0, description="size of the documents in tokens")
    citations: bool | None = Field(None, description="answers must show their source")
    acl: bool | None = Field(None, description="facts differ per tenant or per reader")
    examples: int | None = Field(None, ge=0, description="approved or labelled examples")
    classes: int | None = Field(None, ge=0, description="fixed labels")
    per_class: int | None = Field(None, ge=0, description="examples per label")
    eval_n: int | None = Field(None, ge=0, description="items in the evaluation")
    score: float | None = Field(None, ge=0, le=100, description="what it scores today, percent")
    target: float | None = Field(None, ge=0, le=100, description="what it has to score, percent")
    baseline: Baseline | None = Field(None, description="was a prompt tried, and was it good enough")
    cheaper_tier_tried: bool | None = Field(None, description="was a smaller or cheaper model measured")
    volume_month: int | None = Field(None, ge=0, description="calls per month")
    monthly_cost: float | None = Field(None, ge=0, description="US dollars a month on this task")
    prompt_tokens: int | None = Field(None, ge=0, description="length of today's prompt")
    latency_ms: float | None = Field(None, ge=0, description="the latency that is needed")
    offline: bool | None = Field(None, description="must run on own hardware or without network")
    stable: bool | None = Field(None, description="the task, labels or format are frozen")
    pii: bool | None = Field(None, description="raw personal data in the examples")
    consent: bool | None = Field(None, description="False: no legal basis yet for training on personal data")
    skill: Skill | None = Field(None, description="machine-learning skill of the team")
    budget_usd: float | None = Field(None, ge=0, description="money set aside")
    deadline_days: int | None = Field(None, ge=0, description="days until it is needed")
    pretrain_tokens: int | None = Field(None, ge=0, description="tokens of own text to pretrain on")
    gpus: int | None = Field(None, ge=0, description="GPUs the team has")
    learning: bool | None = Field(
        None, description="a model to learn from or for fun: no product rests on it"
    )
    no_usable_base: bool | None = Field(None, description="no existing model can be built on")
    in_training: bool | None = Field(None, description="asks about a training run under way")
    vendor_claim: bool | None = Field(None, description="rests on a vendor's figure")
    lab: bool | None = Field(None, description="money, chips, data and people of an AI lab")
    already_tuned: bool | None = Field(None, description="a tuned model exists already")
    platform: str | None = Field(None, max_length=40, description="a platform the user names")
    injection: bool | None = Field(None, description="holds instructions aimed at this adviser")
    measured_best: MeasuredBest | None = Field(
        None, description="set by a measurement alone, never from words: what meets the target on own tickets"
    )
    quotes: dict[str, str] = Field(default_factory=dict, description="the user's words, by signal")

    @property
    def gap(self) -> Gap | None:
        """The most important gap."""
        return self.gaps[0] if self.gaps else None

    def known_values(self) -> dict[str, Any]:
        """The values that were read, by name."""
        values = self.model_dump(exclude={"quotes"})
        return {name: value for name, value in values.items() if value not in (None, (), [])}


SIGNAL_NAMES = tuple(name for name in Signals.model_fields if name != "quotes")
PER_MESSAGE = ("topic", "injection")  # never carried over from one message of a thread to the next


def merge(old: Signals, new: Signals) -> Signals:
    """Merges the signals of one more message: the newer value wins, other values stay.

    A named gap replaces a vague one; a second named gap joins the first. Counts of one message belong
    together: new examples without a new per-class count drop the old per-class count, and vice versa.
    """
    values, quotes = old.model_dump(), dict(old.quotes)
    fresh = new.known_values()
    for name in PER_MESSAGE:
        values[name], _ = None, quotes.pop(name, None)
    counts = {"examples", "per_class"}
    if counts & fresh.keys():
        for name in counts - fresh.keys():
            values[name], _ = None, quotes.pop(name, None)
    for name, value in fresh.items():
        if name == "gaps":
            continue
        values[name] = value
        if name in new.quotes:
            quotes[name] = new.quotes[name]
        else:
            quotes.pop(name, None)
    values["gaps"] = merged_gaps(old.gaps, new.gaps)
    if new.gaps and values["gaps"][0] in new.gaps and "gaps" in new.quotes:
        quotes["gaps"] = new.quotes["gaps"]
    return Signals(**{**values, "quotes": quotes})


def merged_gaps(old: tuple[Gap, ...], new: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """The newer named gaps first, then the older ones; "vague" only where neither names a gap."""
    gaps = [gap for gap in (*new, *old) if gap != "vague"]
    return tuple(dict.fromkeys(gaps)) or tuple(dict.fromkeys((*new, *old)))


def after_measuring(old: Signals, findings: Mapping[str, Any]) -> Signals:
    """The signals after a measurement's `findings` (by name; unknown names are ignored) replaced stated values."""
    fresh = {name: value for name, value in findings.items() if name in SIGNAL_NAMES}
    return merge(old, Signals.model_validate({**fresh, "topic": "decision"}))
