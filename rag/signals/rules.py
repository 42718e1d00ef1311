"""Reads signals from messy text without an API key: cues and numbers by pattern, the rest by trained heads.

Covers what rag/data/prototypes.yaml and cues.yaml teach it, in English, French, German and Spanish. Text
sets signals only; it never reaches a weight of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.search.embedding import Embedder
from rag.signals.classifier import Heads, features, load_heads, signature
from rag.signals.lexicon import Cue, Lexicon, load_glossary, load_lexicon, words_around
from rag.signals.numbers import Count, read_counts
from rag.signals.prompt_injection import screen
from rag.signals.schema import SIGNAL_NAMES, Signals

SURE = 0.2  # least probability of a flag: the best F1 of five-fold cross-validation
GAP_SURE = 0.3  # least probability of a gap, whose sentences hold few cues
DOUBT = 0.3  # least probability of small talk, where a message names neither task nor failure
SIZES = ("examples", "classes", "per_class", "eval_n", "score", "volume_month", "latency_ms", "monthly_cost")
MAX_TEXT = 4000
FLAGS = {
    "citations": ("citations", True),
    "acl": ("acl", True),
    "stable": ("stable", True),
    "pii": ("pii", True),
    "no_consent": ("consent", False),
    "in_training": ("in_training", True),
    "vendor_claim": ("vendor_claim", True),
    "cheaper_tried": ("cheaper_tier_tried", True),
    "cheaper_untried": ("cheaper_tier_tried", False),
    "already_tuned": ("already_tuned", True),
    "no_usable_base": ("no_usable_base", True),
    "lab": ("lab", True),
}
BY_CUE = ("volatility", "skill", "platform")
WHOLE = frozenset(
    {"examples", "classes", "per_class", "eval_n", "kb_tokens", "volume_month", "prompt_tokens"}
    | {"pretrain_tokens", "gpus", "deadline_days"}
)


class EmbeddedReader:
    """`reader(question)` gives Signals; loads in well under a second, needs no network."""

    def __init__(self, embed: Embedder, heads: Heads | None = None) -> None:
        self._embed = embed
        self._lexicon: Lexicon = load_lexicon()
        self._gloss = load_glossary()
        self._heads = heads or load_heads(signature(self._lexicon, embed.name))

    def without_injections(self, text: str) -> str:
        """The text without sentences that are prompt injections; it may be empty."""
        return screen(text[:MAX_TEXT], self._lexicon).clean

    def __call__(self, question: str) -> Signals:
        """The signals of the question; prompt injections are removed before reading."""
        screening = screen(question[:MAX_TEXT], self._lexicon)
        clean = screening.clean
        if not clean:
            topic = "injection" if screening.cut else "other"
            return Signals.model_validate({"topic": topic, "injection": bool(screening.cut) or None})
        cues = self._lexicon.find(clean)
        probabilities = self._heads(
            features(clean, self._embed([self._gloss(clean)])[0], cues, self._lexicon)
        )
        counts = read_counts(clean)
        values: dict[str, Any] = {}
        quotes: dict[str, str] = {}
        _from_counts(counts, values, quotes)
        _from_heads(probabilities, values)
        _from_cues(cues, probabilities, counts, values)
        _from_style(counts, values, quotes)
        _below_target(values)
        for name in values:
            if name not in quotes and (words := _words(name, values[name], cues, clean)):
                quotes[name] = words
        if screening.cut:
            values["injection"] = True
            if values.get("topic") != "guide" and not {"task", "gaps"} & values.keys():
                values["topic"] = "injection"  # nothing but prompt injections
        return Signals.model_validate({**values, "quotes": quotes})


def _from_heads(probabilities: Mapping[str, Mapping[str, float]], values: dict[str, Any]) -> None:
    """The likeliest topic, task and baseline; every gap and flag that is more likely than not."""
    values["topic"] = max(probabilities["topic"], key=lambda name: probabilities["topic"][name])
    for head in ("task", "baseline"):
        best = max(probabilities[head], key=lambda name: probabilities[head][name])
        if best != "none":
            values[head] = best
    gaps: list[str] = sorted(
        (g for g, p in probabilities["gaps"].items() if p >= GAP_SURE),
        key=lambda g: -probabilities["gaps"][g],
    )
    if gaps:
        values["gaps"] = tuple(gaps)
    blank = "task" not in values and set(gaps) <= {"vague"}
    if blank and values["topic"] == "decision" and probabilities["topic"]["other"] >= DOUBT:
        values["topic"] = "other"  # a decision about nothing at all needs more certainty
    sizes = sum(name in values for name in SIZES)
    if values["topic"] in ("other", "people") and "task" in values and sizes >= 2:
        values["topic"] = "decision"  # small talk gives no volume and no examples of a task
    for flag, share in probabilities["flags"].items():
        if share >= SURE and flag in FLAGS:
            name, value = FLAGS[flag]
            values.setdefault(name, value)
        elif share >= SURE and flag == "changing":
            values.setdefault("volatility", "monthly")


def _from_cues(
    cues: Sequence[Cue],
    probabilities: Mapping[str, Mapping[str, float]],
    counts: Sequence[Count],
    values: dict[str, Any],
) -> None:
    """Signals from cues alone: how often facts change, skill, platform, flags without a head."""
    rates = [count for count in counts if count.kind in ("monthly_cost", "volume_month", "budget_usd")]
    if any(cue.value == "cheaper_untried" for cue in cues):
        values["cheaper_tier_tried"] = (
            False  # "haven't tried smaller ones" holds the words of "tried smaller ones"
        )
    for cue in cues:
        if cue.signal == "volatility" and any(c.start - 3 <= cue.start <= c.end + 25 for c in rates):
            continue
        if cue.signal in BY_CUE:
            values[cue.signal] = cue.value
        elif cue.signal == "flags" and cue.value in FLAGS and cue.value not in probabilities["flags"]:
            name, value = FLAGS[cue.value]
            values.setdefault(name, value)
    if any(cue.signal == "gaps" and cue.value == "offline" for cue in cues):
        values["offline"] = True
    blank = "task" not in values and "monthly_cost" not in values
    if blank and "budget_usd" in values and values.get("gaps") == ("cost",):
        del values["gaps"]  # money to spend is no bill that is too high


def _from_counts(counts: Sequence[Count], values: dict[str, Any], quotes: dict[str, str]) -> None:
    """Numbers by kind; of several of a kind the larger stands, for scores the first."""
    weak: Count | None = None
    for count in counts:
        if count.kind == "examples_raw":
            weak = count if weak is None or count.value > weak.value else weak
        elif count.kind == "researchers" and count.value >= 3:
            values["skill"], quotes["skill"] = "research", count.quote
        elif count.kind in SIGNAL_NAMES:
            value = int(count.value) if count.kind in WHOLE else float(count.value)
            first_stands = count.kind in ("score", "target", "latency_ms")
            if count.kind not in values or (not first_stands and value > values[count.kind]):
                values[count.kind], quotes[count.kind] = value, count.quote
    if weak is not None and "examples" not in values and "labelled" in weak.quote.lower():
        values["examples"], quotes["examples"] = int(weak.value), weak.quote
    if "examples" not in values and {"per_class", "classes"} <= values.keys():
        values["examples"] = values["per_class"] * values["classes"]


def _from_style(counts: Sequence[Count], values: dict[str, Any], quotes: dict[str, str]) -> None:
    """Where the voice is the gap, texts that are counted without a word about labels are its examples."""
    raw = max(
        (count for count in counts if count.kind == "examples_raw"), key=lambda c: c.value, default=None
    )
    if raw is not None and "examples" not in values and "style" in values.get("gaps", ()):
        values["examples"], quotes["examples"] = int(raw.value), raw.quote


def _below_target(values: dict[str, Any]) -> None:
    """A score under the one that is needed is a prompt that was tried, whatever else the words say of it."""
    is_settled = "baseline" in values or values.get("vendor_claim") or values.get("in_training")
    if not is_settled and values.get("score", 100.0) < values.get("target", 0.0):
        values["baseline"] = "tried_fail"


def _words(name: str, value: Any, cues: Sequence[Cue], text: str) -> str:
    """The user's words behind a value: the first cue for it, widened to whole words."""
    values = {str(v) for v in value} if isinstance(value, tuple) else {str(value)}
    values |= {flag for flag, (signal, flag_value) in FLAGS.items() if signal == name and flag_value == value}
    for cue in cues:
        if (cue.signal == name or cue.signal == "flags") and cue.value in values:
            return words_around(text, cue.start, cue.end)
    return ""
