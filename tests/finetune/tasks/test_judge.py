"""Prompts and a judge for written replies, against an OpenAI-compatible server on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.evaluation.prompting import RETRIEVED, ZERO
from finetune.llm import Llm, asker
from finetune.pipeline import run
from finetune.pricing import Rates
from finetune.progress import silent
from finetune.tasks.reply import llm_judge
from finetune.tasks.reply.data import Pairs
from finetune.tasks.reply.llm_judge import ORDER, count_votes, judge_answers
from tests.finetune.measurement.measuring import PRICES
from tests.finetune.tiny import recipe, save_causal, tickets
from tests.openai_server import OpenAIServer

pytestmark = pytest.mark.integration

MODEL = "gpt-6-luna"
TEST = Pairs([f"ticket {at}" for at in range(30)], [f"real {at}" for at in range(30)])
SIDES = [f"good {at}" for at in range(30)], [f"poor {at}" for at in range(30)]
NAMES = ("Fully tuned", "Nearest past answer")


def prefers(part: str) -> Callable[[dict[str, Any]], str]:
    """A judge that names the answer with `part`, wherever it stands; equal where both or none have it."""

    def answer(body: dict[str, Any]) -> str:
        first, second = str(body["messages"][-1]["content"]).split("Answer 1:")[1].split("Answer 2:")
        return "0" if (part in first) == (part in second) else "1" if part in first else "2"

    return answer


def judge_llm(server: OpenAIServer, usd: float = 0.5) -> Llm:
    return Llm(asker(MODEL, "sk-test", server.base_url, 5), MODEL, usd, PRICES)


def test_a_judge_that_reads_the_answers_holds_when_they_are_swapped(tmp_path: Path) -> None:
    """Each pair is read twice; the result is kept, so a resumed run asks nothing again."""
    with OpenAIServer(answer=prefers("good")) as server:
        verdict = judge_answers(judge_llm(server), TEST, NAMES, SIDES, tmp_path, 7, silent())
        assert len(server.requests) == 60
        assert judge_answers(judge_llm(server), TEST, NAMES, SIDES, tmp_path, 7, silent()) == verdict
        assert len(server.requests) == 60
    assert verdict is not None
    assert (verdict.rows, verdict.consistent, verdict.tuned, verdict.baseline) == (30, 30, 30, 0)
    assert verdict.tuned_share is not None
    assert verdict.tuned_share.low > 0.85
    assert "30 judgements held (100%" in verdict.sentence


def test_a_position_biased_judge_is_detected(tmp_path: Path) -> None:
    """Always "1": no judgement holds, and it is said that nothing follows from it."""
    with OpenAIServer(answer=lambda _: "1") as server:
        verdict = judge_answers(judge_llm(server), TEST, NAMES, SIDES, tmp_path, 7, silent())
    assert verdict is not None
    assert verdict.consistent_share is not None
    assert verdict.consistent_share.value == 0
    assert verdict.tuned == verdict.baseline == 0
    assert "too few to say" in verdict.sentence


@pytest.mark.parametrize(
    ("behaviour", "usd", "sentence"), [("wrong_key", 0.5, "did not answer"), ("ok", 0.0001, "afforded")]
)
def test_without_answers_or_money_there_is_a_sentence(
    tmp_path: Path, behaviour: str, usd: float, sentence: str
) -> None:
    """A refusing server or an empty purse costs the judgement, not the run."""
    with OpenAIServer(answer=lambda _: "1") as server:
        server.always(behaviour)
        verdict = judge_answers(judge_llm(server, usd), TEST, NAMES, SIDES, tmp_path, 7, silent())
    assert verdict is not None
    assert sentence in verdict.sentence
    assert verdict.rows == 0


def test_an_unreadable_answer_leaves_its_pair_out() -> None:
    """Prose instead of a digit is no vote; the counts are of the pairs that were read."""
    read = llm_judge._vote("the first one, I think", "1")
    assert read is None
    verdict = count_votes(["tuned", None, "unsteady", "equal", "baseline"], "m", "b")
    assert (verdict.rows, verdict.consistent) == (4, 3)
    assert verdict.tuned_share is not None
    assert verdict.tuned_share.value == 0.5


def test_a_reply_run_has_prompts_a_judge_and_pairs_for_people(tmp_path: Path) -> None:
    """Zero-shot and retrieved examples in the ladder; the prompt that copies its example is the one to beat, on
    the tickets it answered; the judge reads both; the cost of both is in the report."""

    def answer(body: dict[str, Any]) -> str:
        text = str(body["messages"][-1]["content"])
        if text.startswith(ORDER[:40]):
            return prefers("We looked into")(body)
        shots = text.count("Answer:\n")
        return text.split('Answer:\n"""\n')[-1].split('\n"""')[0] if shots > 1 else "Please call us."

    base = save_causal(tmp_path / "base")
    spec = recipe(method="full", base_model=str(base), epochs=1)
    with OpenAIServer(answer=answer) as server:
        report = run(
            spec,
            tickets(120),
            tmp_path / "run",
            lambda _: None,
            lambda: None,
            Rates(0.0, PRICES),
            llm=judge_llm(server),
        )
    by_name = {system["name"]: system for system in report["systems"]}
    assert {ZERO, RETRIEVED} <= set(by_name)
    assert by_name[RETRIEVED]["chrf"]["value"] > by_name[ZERO]["chrf"]["value"]
    assert report["systems"][-1]["name"] == "Fully tuned"
    assert report["judge"]["rows"] >= 20
    assert report["judge"]["baseline"] > 15
    assert report["judge"]["against"] == report["difference"]["against"]
    assert report["notes"][0] == report["judge"]["sentence"]
    assert report["cost"]["api_usd"] > 0
    assert "cross_validated" in report["systems"][0]
    pairs = report["pairs"]
    assert pairs["tuned"] == "Fully tuned"
    assert len(pairs["rows"]) == 20
    assert all(row["tuned"] != row["baseline"] for row in pairs["rows"])
