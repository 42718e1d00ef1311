"""How a decision reads: the headline, the direct answers in a thread. Pure.

Every figure of a sentence is the user's own or stands in the dated price table; facts of the guide are cited
elsewhere (rag/answer/extractive.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag.advice.decide import Advice, spoken
from rag.advice.decision_table import Rule
from rag.reply import Verdict
from rag.signals.schema import Signals

OPENING = {
    Verdict.PROMPT: "Prompt first and train nothing yet",
    Verdict.RAG: "Retrieve the facts, do not train them in",
    Verdict.FINE_TUNE: "A fine-tuning pilot is justified",
    Verdict.SMALL_MODEL: "Train a small classifier rather than tune a large model",
    Verdict.FOUNDATION_MODEL: "Pretraining is defensible here, pilot first",
}
REASONS = 3
AGAINST = -3.0  # a line that costs another option so much is a reason, too


def headline(advice: Advice, committed: bool = False) -> str:
    """One plain sentence, the verdict and its strongest reasons; a second one where two ways add up."""
    if advice.verdict is Verdict.NEED_MORE_INFO:
        why = f"{_upper(advice.gate.say)}. " if advice.gate else ""
        return f"{why}Until I know more, my lean is to {_lean(advice.lean)}."
    because = listed([rule.say for rule in reasons(advice)])
    sentence = f"{OPENING[advice.verdict]}: {because}." if because else f"{OPENING[advice.verdict]}."
    if committed:
        sentence = (
            f"I have asked enough and commit to my lean. {sentence} Take it with care: {_unknown(advice)}."
        )
    return f"{sentence} {advice.combination}" if advice.combination else sentence


def reasons(advice: Advice) -> list[Rule]:
    """The lines that speak most for the verdict, or against what would else have won; strongest first."""
    won, strength = str(advice.verdict), {}
    rivals = {"fine_tune", "small_model"} - {won}
    if {"ambition", "capability"} & set(advice.signals.gaps) or advice.signals.task == "foundation":
        rivals |= {"foundation_model"} - {won}
    for rule in advice.fired:
        if not rule.when or (won not in rule.points and max(rule.points.values()) > 0):
            continue  # what speaks for another way is no reason for this one
        against = min((rule.points.get(name, 0) for name in rivals), default=0)
        strength[rule.id] = max(rule.points.get(won, 0), -against - 0.5 if against <= AGAINST else 0)
    if advice.verdict in (
        Verdict.FINE_TUNE,
        Verdict.SMALL_MODEL,
    ):  # what speaks for training is told, not what loses
        strength = {r.id: r.points.get(won, 0) for r in advice.fired if r.when}
    chosen = [rule for rule in advice.fired if strength.get(rule.id, 0) > 0 and rule.id != "open-ended"]
    return sorted(chosen, key=lambda rule: -strength[rule.id])[:REASONS]


def listed(parts: Sequence[str]) -> str:
    """a, and b / a; b; and c."""
    said = [part.rstrip(".") for part in parts]
    if len(said) < 3:
        return ", and ".join(said)
    return "; ".join(said[:-1]) + f"; and {said[-1]}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _lean(verdict: Verdict) -> str:
    verbs = {Verdict.RAG: "retrieve (RAG)", Verdict.PROMPT: "prompt an existing model"}
    return verbs.get(verdict, spoken(verdict))


def _unknown(advice: Advice) -> str:
    known = advice.signals.known()
    words = {"task": "the task", "gaps": "what goes wrong", "baseline": "whether a prompt was tried",
             "eval_n": "an evaluation", "examples": "the number of examples"}  # fmt: skip
    missing = [text for name, text in words.items() if known.get(name) in (None, ("vague",))]
    if not missing:
        return "a measurement on your own items outweighs it"
    last = f" and {missing[-1]}" if len(missing) > 1 else missing[-1]
    return ", ".join(missing[:-1]) + last + (" are" if len(missing) > 1 else " is") + " still unknown"


def told_move(move: str, advice: Advice, prices: Mapping[str, Any]) -> str:
    """The direct answer to a question about the verdict itself."""
    if move == "why":
        return headline(advice)
    if move == "change":
        flips = " ".join(advice.would_change[:2])
        return flips or "Nothing that I know of: each single change I tried leaves the verdict as it is."
    if move == "cost":
        verdict = advice.lean if advice.verdict is Verdict.NEED_MORE_INFO else advice.verdict
        return (
            cost_line(verdict, advice.signals, prices)
            or "I have no prices for this; add them to bot/prices.yaml."
        )
    if move == "next":
        return advice.next_step
    if move == "sources":
        return f"These passages stand behind “{spoken(advice.verdict)}”; the table's own lines name: {_from(advice)}."
    return "You're welcome. Tell me here how the next step went, with its score, and I will decide again."


def _from(advice: Advice) -> str:
    names = list(dict.fromkeys(rule.source for rule in reasons(advice)))
    return ", ".join(names) or "guide"


ROW_TOKENS, EPOCHS = 500, 3
CALL_IN, CALL_OUT = 1500, 200
PILOT_FLOP = 6 * 1e9 * 20e9  # 6ND for the 1B model on 20B tokens that the next step names
MONTH_HOURS = 730


def cost_line(verdict: Verdict, signals: Signals, prices: Mapping[str, Any]) -> str:
    """The sentence, with the table's date; empty for a verdict that builds nothing."""
    lines = {
        Verdict.PROMPT: _calls,
        Verdict.RAG: _calls,
        Verdict.FINE_TUNE: _tuning,
        Verdict.SMALL_MODEL: _small,
        Verdict.FOUNDATION_MODEL: _pilot,
    }
    said = lines[verdict](signals, prices) if verdict in lines else ""
    return f"{said} Prices as of {prices.get('as_of', 'no date')}." if said else ""


def _calls(signals: Signals, prices: Mapping[str, Any]) -> str:
    apis = prices.get("api_per_million") or {}
    if signals.offline:
        return _kept_in(prices)
    if not apis:
        return ""
    name, row = min(apis.items(), key=lambda item: (item[1]["in"], item[1]["out"]))
    rate = f"${row['in']:.2f} in and ${row['out']:.2f} out per million tokens ({name})"
    if not signals.volume_month:
        return f"From {rate}."
    tokens = signals.prompt_tokens or CALL_IN
    monthly = signals.volume_month * (tokens * row["in"] + CALL_OUT * row["out"]) / 1e6
    return f"{_usd(monthly)} a month for {signals.volume_month:,} calls of {tokens:,} tokens in and {CALL_OUT} out, at {rate}."


def _kept_in(prices: Mapping[str, Any]) -> str:
    """What it costs where data may not go to just any provider: a price per token would mislead."""
    gpu = _serving_gpu(prices)
    if not gpu:
        return ""
    return (
        "Your data may not go just anywhere: a hosted model counts only where its contract and region allow "
        f"it; an open model on your own always-on GPU is {_month(gpu, prices)}."
    )


def _serving_gpu(prices: Mapping[str, Any]) -> str | None:
    """The cheapest L4, else the cheapest GPU of the table."""
    gpus = prices.get("gpu_hour") or {}
    small = [key for key in gpus if key.startswith("l4")] or list(gpus)
    return min(small, key=lambda key: float(gpus[key]["usd"]), default=None)


def _month(gpu: str, prices: Mapping[str, Any]) -> str:
    hours = prices.get("serving_hours_per_month", MONTH_HOURS)
    return f"{_usd(prices['gpu_hour'][gpu]['usd'] * hours)} a month ({gpu})"


def _tuning(signals: Signals, prices: Mapping[str, Any]) -> str:
    row = (prices.get("hosted_lora_per_million_tokens") or {}).get("8b")
    rows = signals.examples or 2000
    parts = []
    if row:
        trained = rows * ROW_TOKENS * EPOCHS / 1e6
        low, high = trained * row["usd"], trained * row.get("usd_high", row["usd"])
        parts.append(
            f"One LoRA run on an 8B model: {_usd(low)} to {_usd(high)} for {rows:,} examples of {ROW_TOKENS} tokens, {EPOCHS} epochs."
        )
    if gpu := _serving_gpu(prices):
        parts.append(f"Serving is what costs: an always-on GPU is {_month(gpu, prices)}.")
    return " ".join(parts)


def _small(signals: Signals, prices: Mapping[str, Any]) -> str:
    row = prices.get("cpu_hour")
    if not row:
        return ""
    assumed = ", a planning figure" if row.get("assumed") else ""
    return f"Under {_usd(row['usd'])} to train: minutes on a CPU at ${row['usd']:.2f} an hour{assumed}. No GPU is needed to serve it."


def _pilot(signals: Signals, prices: Mapping[str, Any]) -> str:
    gpus, chips = prices.get("gpu_hour") or {}, prices.get("chips") or {}
    share = ((prices.get("mfu") or {}).get("full") or [0.35])[0]
    known = [key for key, row in gpus.items() if row.get("chip") in chips]
    if not known:
        return ""
    per_flop = {key: gpus[key]["usd"] / chips[gpus[key]["chip"]]["tflops"] for key in known}
    name = min(known, key=lambda key: per_flop[key])
    hours = PILOT_FLOP / (share * chips[gpus[name]["chip"]]["tflops"] * 1e12 * 3600)
    return f"The 1B pilot on 20B tokens: about {hours:,.0f} GPU hours, {_usd(hours * gpus[name]['usd'])} ({name}, 6ND at {share:.0%} of peak)."


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount < 10 else f"${amount:,.0f}"
