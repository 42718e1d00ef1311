"""The cost of the advised option, in sentences from the dated price table and the person's figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag.reply import Verdict
from rag.signals.schema import Signals

ROW_TOKENS, EPOCHS, ASSUMED_ROWS = 500, 3, 2000
CALL_IN, CALL_OUT = 1500, 200
PILOT_FLOP = 6 * 1e9 * 20e9  # 6ND for the 1B model on 20B tokens that the next step names
MONTH_HOURS = 730


def cost_line(verdict: Verdict, signals: Signals, prices: Mapping[str, Any]) -> str:
    """The sentence, with the table's date; empty for a verdict that builds nothing.

    `signals` are those that were said or confirmed: every figure of the case stands among them, every assumed one says so.
    """
    lines = {
        Verdict.PROMPT: _calls,
        Verdict.RAG: _calls,
        Verdict.FINE_TUNE: _tuning,
        Verdict.SMALL_MODEL: _small,
        Verdict.FOUNDATION_MODEL: _pilot,
    }
    sentence = lines[verdict](signals, prices) if verdict in lines else ""
    return f"{sentence} Prices as of {prices.get('as_of', 'no date')}." if sentence else ""


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
    note = "" if signals.prompt_tokens else " (assumed)"
    monthly = signals.volume_month * (tokens * row["in"] + CALL_OUT * row["out"]) / 1e6
    return f"{_usd(monthly)} a month for {signals.volume_month:,} calls of {tokens:,} tokens in{note} and {CALL_OUT} out, at {rate}."


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
    rows = signals.examples or ASSUMED_ROWS
    note = "" if signals.examples else " (an assumed count)"
    parts = []
    if row:
        millions = rows * ROW_TOKENS * EPOCHS / 1e6
        low, high = millions * row["usd"], millions * row.get("usd_high", row["usd"])
        parts.append(
            f"One LoRA run on an 8B model: {_usd(low)} to {_usd(high)} for {rows:,} examples{note} of {ROW_TOKENS} tokens, {EPOCHS} epochs."
        )
    if gpu := _serving_gpu(prices):
        parts.append(f"Serving is what costs: an always-on GPU is {_month(gpu, prices)}.")
    return " ".join(parts)


def _small(signals: Signals, prices: Mapping[str, Any]) -> str:
    row = prices.get("cpu_hour")
    if not row:
        return ""
    note = ", a planning figure" if row.get("assumed") else ""
    return f"Under {_usd(row['usd'])} to train: minutes on a CPU at ${row['usd']:.2f} an hour{note}. No GPU is needed to serve it."


def _pilot(signals: Signals, prices: Mapping[str, Any]) -> str:
    if signals.learning:
        return ""  # a model to learn from costs what the asker wants to spend
    gpus, chips = prices.get("gpu_hour") or {}, prices.get("chips") or {}
    share = ((prices.get("mfu") or {}).get("full") or [0.35])[0]
    names = [key for key, row in gpus.items() if row.get("chip") in chips]
    if not names:
        return ""
    per_flop = {key: gpus[key]["usd"] / chips[gpus[key]["chip"]]["tflops"] for key in names}
    name = min(names, key=lambda key: per_flop[key])
    hours = PILOT_FLOP / (share * chips[gpus[name]["chip"]]["tflops"] * 1e12 * 3600)
    return f"The 1B pilot on 20B tokens: about {hours:,.0f} GPU hours, {_usd(hours * gpus[name]['usd'])} ({name}, 6ND at {share:.0%} of peak)."


def _usd(amount: float) -> str:
    """Dollars as people read them: below a dollar in cents, as finetune/pricing.py words them too."""
    if amount >= 100 or (amount >= 1 and amount == round(amount)):
        return f"${amount:,.0f}"
    cents = round(100 * amount)
    if cents >= 100:
        return f"${amount:,.2f}"
    if cents == 0 and amount > 0:
        return "less than 1 cent"
    return f"{cents} cent{'' if cents == 1 else 's'}"
