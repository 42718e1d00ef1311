"""A job's card, report and details, whatever its state and whatever a worker reported: pure, within limits."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.ui.blocks import Block
from bot.slack.ui.job_card import duration, job_card, status_line
from bot.slack.ui.limits import texts_of, validate_message, validate_view
from bot.slack.ui.messages import pictures_of
from bot.slack.ui.report import details_modal, final_report
from worker.jobs.records import Event, Job
from worker.jobs.states import END_STATES, State
from worker.kinds import kind_of

NASTY = "<!channel> *bold* `tick` & <https://evil.example|click> " * 30
REPORT: dict[str, Any] = {
    "kind": "finetune",
    "headline": "Worth it: 86.5% against 77.0%.",
    "worth_it": "yes",
    "systems": [
        {"name": "Majority class", "role": "baseline", "accuracy": {"value": 0.2, "low": 0.1, "high": 0.3}},
        {"name": "Tuned with LoRA", "role": "tuned", "accuracy": {"value": 0.865}, "macro_f1": 0.81},
    ],
    "spec": {"digest": "ab" * 32, "base_model": "minilm"},
}


def job(**more: Any) -> Job:
    """A running job of Ravi's with the given changes."""
    values: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
    values |= {"id": "abcdefgh", "kind": "finetune", "state": State.RUNNING, "version": 3, "attempt": 1}
    values |= {"spec": {"method": "lora", "base_model": "minilm", "epochs": 3}, "dataset": "tickets"}
    values |= {"by": "U1", "by_name": "ravi", "channel": "C1", "progress": {}, "created_at": 0.0}
    values |= {"spent_usd": 0.0, "estimate_usd": 0.0, "reserved_usd": 0.0, "losses": 0, "updated_at": 0.0}
    return Job(**{**values, **more})


def words(blocks: list[Block]) -> str:
    """All text of the blocks."""
    return "\n".join(texts_of(blocks))


def actions_of(blocks: list[Block]) -> set[str]:
    """The buttons that can be pressed."""
    return {e["action_id"] for b in blocks if b["type"] == "actions" for e in b["elements"]}


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_card_within_limits_that_pings_nobody(state: State) -> None:
    """At most five blocks, one line of status, no token of Slack's in what people or workers wrote."""
    text = job(state=state, dataset=NASTY, by_name=NASTY, error=NASTY, approval_reason=NASTY)
    blocks = validate_message(job_card(text, 100.0))
    assert len(blocks) <= 5
    assert "<!channel>" not in words(blocks)
    assert "<https" not in words(blocks)


def test_the_card_shows_the_loss_as_a_curve_and_the_score_on_the_choosing_rows() -> None:
    """While it trains; values that a worker made up are left out."""
    progress = {"phase": "training", "step": 5, "steps": 10, "curve": [2.0, 1.0, 0.5, "<!channel>"]}
    text = words(job_card(job(progress={**progress, "dev_score": 0.712}), 100.0))
    assert "loss 2.00 `█▃▁` 0.50" in text
    assert "71.2% right on the tickets to choose with" in text
    assert "<!channel>" not in text
    reply = words(job_card(job(progress={**progress, "dev_loss": 0.4321}), 100.0))
    assert "loss on the tickets to choose with 0.432" in reply


def test_training_can_be_ended_early_and_continued() -> None:
    """Only while a network trains; a method that is solved in one go has no epochs to add."""
    training = job(progress={"phase": "training", "step": 5, "steps": 10})
    assert "job_finish" in actions_of(job_card(training, 100.0))
    assert "job_finish" not in actions_of(job_card(job(progress={"phase": "baselines", "step": 1}), 100.0))
    ended = job(state=State.SUCCEEDED, report=REPORT)
    assert "job_continue" in actions_of(job_card(ended, 100.0))
    linear = job(state=State.SUCCEEDED, report=REPORT, spec={"method": "linear"})
    assert "job_continue" not in actions_of(job_card(linear, 100.0))


def test_what_can_be_pressed_follows_the_state() -> None:
    """Cancel while it lives, run again once it failed; once done its details and the page of its tickets."""
    assert actions_of(job_card(job(), 1.0)) == {"job_pause", "job_cancel"}
    assert actions_of(job_card(job(state=State.PAUSED), 1.0)) == {"job_resume", "job_cancel"}
    assert actions_of(job_card(job(state=State.FAILED), 1.0)) == {"job_retry", "job_details"}
    buttons = {"job_details", "job_continue", "dataset_runs"}
    assert actions_of(job_card(job(state=State.SUCCEEDED), 1.0)) == buttons
    assert actions_of(job_card(job(state=State.SUCCEEDED, kind="deploy", spec={}), 1.0)) == {"job_details"}
    assert actions_of(job_card(job(state=State.CANCELLING), 1.0)) == set()
    waiting = actions_of(job_card(job(state=State.AWAITING_APPROVAL), 1.0))
    assert waiting == {"job_approve", "job_reject", "job_cancel"}


def test_training_shows_step_loss_time_left_and_a_bar() -> None:
    """The figures a person waits for, rounded."""
    progress = {"phase": "training", "step": 50, "steps": 200, "loss": 0.43211, "eta_s": 181.0}
    text = words(job_card(job(kind="unknown", progress=progress), 1.0))
    for part in ("Training", "step 50 of 200", "loss 0.432", "about 3 min left", "25%"):
        assert part in text


def test_the_bar_and_the_time_left_are_those_of_the_whole_job() -> None:
    """No "27 s left" in the first of five phases; a quarter of training is more than a quarter of the job."""
    shares = dict(kind_of("finetune").phases)
    first = {"phase": "loading", "step": 1, "steps": 4, "eta_s": 27.0, "since": 0.0}
    assert "left" not in words(job_card(job(progress=first), 10.0))
    training = {"phase": "training", "step": 50, "steps": 200, "eta_s": 60.0, "since": 0.0}
    text = words(job_card(job(progress=training), 100.0))
    share = shares["loading"] + shares["baselines"] + shares["training"] / 4
    assert f"{share:.0%}" in text
    later_s = (shares["evaluating"] + shares["reporting"]) * 100.0 / share
    assert f"about {duration(60.0 + later_s)} left" in text


def test_the_elapsed_time_moves_while_it_runs_and_stands_while_it_is_paused() -> None:
    """ "running for" is said of a job that a worker holds, and of no other."""
    held, paused = {"since": 0.0, "ran_s": 30.0}, {"ran_s": 30.0}
    assert "running for 40 s" in words(job_card(job(progress=held), 10.0))
    assert "running for 50 s" in words(job_card(job(progress=held), 20.0))
    text = words(job_card(job(state=State.PAUSED, progress=paused), 5000.0))
    assert "ran for 30 s" in text
    assert "running" not in text


def test_a_queued_job_shows_its_position_and_what_it_waits_for() -> None:
    """At the front, further back, and while Redis is down."""
    queued = State.QUEUED
    assert "next in line" in status_line(job(state=queued, progress={"position": 1}), 1.0)
    assert "number 4 in line" in status_line(job(state=queued, progress={"position": 4}), 1.0)
    assert "Redis is back" in status_line(job(state=queued, progress={"position": 1}), 1.0, redis_down=True)


def test_a_report_names_every_system_with_its_scores() -> None:
    """Verdict once, each system on lines of its own, the tuned one starred."""
    _, blocks = final_report(job(state=State.SUCCEEDED, report=REPORT))
    text = words(validate_message(blocks))
    assert text.count("Worth it") == 1
    assert "*Majority class*\n▰▰▱▱▱▱▱▱▱▱  20.0% (10.0–30.0)" in text
    assert "★ *Tuned with LoRA*" in text
    assert "macro-F1 81.0%" in text


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"kind": "finetune"},
        {**REPORT, "systems": None, "confused": [{"true": NASTY, "predicted": None}], "difference": {}},
        {**REPORT, "headline": NASTY, "time": {}, "cost": {}, "dataset": {"rows": "many"}},
        {"kind": "measure", "headline": NASTY, "ladder": [{"name": NASTY, "score": 2}], "forecast": NASTY},
    ],
)
def test_a_report_with_missing_or_malformed_parts_is_still_shown(report: dict[str, Any]) -> None:
    """Bad parts are left out or escaped, without an exception or a mention."""
    error = job(state=State.SUCCEEDED, report=report)
    for blocks in (
        validate_message(final_report(error)[1]),
        validate_view(details_modal(error, []))["blocks"],
    ):
        assert "<!channel>" not in words(blocks)


@pytest.mark.parametrize("state", sorted(END_STATES - {State.SUCCEEDED}))
def test_an_end_without_a_report_says_why_and_offers_another_run(state: State) -> None:
    """Failed, cancelled, refused, out of budget."""
    text, blocks = final_report(job(state=state, error="the budget is spent"))
    assert "the budget is spent" in words(blocks)
    assert "job_retry" in actions_of(blocks)
    assert "tickets" in text


def test_a_report_says_why_and_shows_its_pictures_in_its_own_order() -> None:
    """The reason stands right under the headline; the first picture is the report's first, not the alphabet's."""
    why = ["It began with random weights.", NASTY]
    plots = [{"file": "scores.png", "title": "Before and after"}, {"file": "loss.png", "title": "Loss"}]
    result = job(state=State.SUCCEEDED, report={**REPORT, "why": why, "plots": plots})
    blocks = validate_message(final_report(result)[1])
    assert "*Why*  It began with random weights." in words(blocks[1:2])
    assert "<!channel>" not in words(blocks)
    text = pictures_of(result, {"a.png": b"", "loss.png": b"", "scores.png": b""})
    assert [picture["title"] for picture in text] == ["Before and after", "Loss", "a.png"]


def test_details_show_replies_beside_the_real_ones() -> None:
    """Three held-out tickets with the team's, the trained model's and the best baseline's words, nothing acting."""
    one = {"ticket": "x" * 400, "real": "We refund it.", "tuned": NASTY, "baseline": ""}
    report = {**REPORT, "examples": [one] * 5, "difference": {"against": "Nearest past answer"}}
    text = words(validate_view(details_modal(job(state=State.SUCCEEDED, report=report), []))["blocks"])
    assert text.count("Your team: We refund it.") == 3
    assert "Nearest past answer: (empty)" in text
    assert "<!channel>" not in text


@pytest.mark.parametrize(
    ("measure", "word"), [("accuracy", "Macro-F1 counts every queue"), ("chrf", "letters in common")]
)
def test_every_figure_of_a_report_is_explained_one_level_down(measure: str, word: str) -> None:
    """What interval, macro-F1, likeness, gain and p are stands in the details."""
    result = job(state=State.SUCCEEDED, report={**REPORT, "measure": measure})
    text = words(details_modal(result, [])["blocks"])
    for part in ("What is this?", "95% interval", word, "p is the chance"):
        assert part in text


def test_a_model_tested_on_one_fold_is_told_with_what_is_expected_on_all() -> None:
    """97% of 30 tickets beside a rival's figure on 150 would mislead: the line says both."""
    band = {"value": 0.79, "low": 0.7, "high": 0.88}
    systems = [{**REPORT["systems"][-1], "expected": band}]
    text = words(final_report(job(state=State.SUCCEEDED, report={**REPORT, "systems": systems}))[1])
    assert "tested on one fold; expected on all: 79.0% (70.0–88.0)" in text


def test_details_begin_with_the_outcome_and_end_with_a_history_that_people_read() -> None:
    """People are mentioned, processes have no ids, and each step stands once; phases are no history."""
    steps = [
        ("U0RAVI00001", "request"),
        ("worker:4f55b9", "phase"),
        ("worker:vm", "work starts"),
        ("worker:4f55b9", "work starts"),
    ]
    history = [
        Event(n, "abcdefgh", 0.0, who, what, None, None, "", 1, True, {})
        for n, (who, what) in enumerate(steps)
    ]
    blocks = details_modal(job(state=State.SUCCEEDED, report=REPORT), history)["blocks"]
    assert "Worth it: 86.5% against 77.0%." in words(blocks[1:2])
    assert words(blocks[-1:]) == "*History*\n• <@U0RAVI00001>: request\n• worker: work starts"


@pytest.mark.parametrize(("decision", "place"), [("train", 0), ("out_of_reach", -1), ("enough", None)])
def test_only_a_verdict_for_training_offers_it_first(decision: str, place: int | None) -> None:
    """Out of reach, whoever trains all the same finds the last button; it is no recommendation."""
    report = {"kind": "measure", "headline": "So it is.", "decision": decision}
    _, blocks = final_report(job(kind="measure", state=State.SUCCEEDED, report=report, dataset="tickets"))
    buttons = next(block["elements"] for block in blocks if block["type"] == "actions")
    at = [one["action_id"] for one in buttons].index("job_finetune") if place is not None else None
    assert at == (place if place != -1 else len(buttons) - 1)
    assert [one["action_id"] for one in buttons if one.get("style") == "primary"] == (
        ["job_finetune"] if place == 0 else []
    )


def test_details_shorten_a_digest() -> None:
    """Sixty-four characters would run out of the modal."""
    text = words(details_modal(job(state=State.SUCCEEDED, report=REPORT), [])["blocks"])
    assert "abababababab`" in text
    assert "ab" * 32 not in text


def test_every_phase_shows_its_own_steps() -> None:
    """Where in its phase a measurement is; without steps the last note is shown."""
    text = words(job_card(job(kind="measure", progress={"phase": "baselines", "step": 3, "steps": 4}), 1.0))
    assert "Scoring the baselines" in text
    assert "step 3 of 4" in text
    bundle = job_card(
        job(kind="measure", progress={"phase": "pilot", "step": None, "steps": None, "note": "Why"}), 1.0
    )
    assert "Training a pilot" in words(bundle)
    assert "Why" in words(bundle)
