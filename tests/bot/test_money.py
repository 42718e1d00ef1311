"""Every figure of money about the same tickets is one figure: in report, card, slide and terminal."""

from __future__ import annotations

import dataclasses
import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from bot.cli.measure import business_table, money_table
from bot.slack.ui.limits import texts_of
from bot.slack.ui.report import final_report
from finetune.evaluation.predictions import SystemScore
from finetune.evaluation.sample import cut_rows
from finetune.measurement.evidence import Evidence
from finetune.pricing import money
from finetune.progress import silent
from finetune.reports import MeasurementReport
from finetune.reports.parts import Interval
from rag.advice.cost_line import _usd
from tests.bot.slack.test_job_card import job
from tests.finetune.measurement.measuring import CountingEmbedder, measurement_of, sample_rows, tickets
from worker.jobs.states import State

pytestmark = pytest.mark.integration
AMOUNT = re.compile(r"less than 1 cent|-?\$[\d,]+(?:\.\d+)?|-?[\d,.]+ cents?\b")
TICKETS = tickets(sample_rows()[:180])
WORK = {"volume": 3_000, "minutes_by_hand": 4.0, "price_per_wrong": 2.0, "error_rate": 0.1}


def job_on_these_rows(digest: str, held_out: int) -> Evidence:
    """What a finished fine-tune on these rows would have shown: 80% right, 40% of the tickets at a tenth wrong."""
    band, share = Interval(0.8, 0.7, 0.9), Interval(0.4, 0.3, 0.5)
    line = SystemScore("Tuned with LoRA", "tuned", band, band, 60.0, automatic={"0.1": share})
    gain = Interval(0.1, 0.05, 0.15)
    return Evidence("ab12", "lora", "minilm", digest, 7, 120, held_out, line, "Linear SVM", gain, 60.0, 0.01)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A measurement of 3,000 tickets a month with a price for everything that the form asks."""
    folder, embed = tmp_path_factory.mktemp("money"), CountingEmbedder()
    held_out = cut_rows(TICKETS.rows, 7, embed, silent(), folder).held_out
    evidence = (job_on_these_rows(TICKETS.digest, held_out),)
    return measurement_of(TICKETS, 0.95, folder, embed, evidence=evidence, **WORK)


def amounts(text: str) -> set[str]:
    """Every amount of money that a text names."""
    return set(AMOUNT.findall(" ".join(text.split())))


def known_amounts(report: dict[str, Any]) -> set[str]:
    """The amounts that the report's own figures come to, each worded by the one function."""
    case, cost = report["business"], report["cost"]
    fields = ("handling_usd", "wrong_usd", "running_usd", "once_usd", "net_usd")
    values = [line[field] for line in case["lines"] for field in fields]
    values += [line[key] for line in cost["training"] for key in ("usd_low", "usd_high")]
    values += [line["usd_month"] for line in cost["serving"]]
    values += [cost["labelling"]["usd"]] if cost["labelling"] else []
    values += [case["workload"]["usd_per_hour"]]
    nets = {line["kind"]: line["net_usd"] for line in case["lines"] if line["share"]}
    values += [nets["tuned"] - max(net for kind, net in nets.items() if kind != "tuned")]
    return {money(value) for value in values} | {money(abs(value)) for value in values}


def terminal_text(report: dict[str, Any]) -> str:
    """The two tables of `trainwise measure`, without the bases of prices."""
    console, read = Console(file=StringIO(), width=240), MeasurementReport.from_json(report)
    cost = dataclasses.replace(
        read.cost,
        training=tuple(dataclasses.replace(line, basis="") for line in read.cost.training),
        serving=tuple(dataclasses.replace(line, basis="") for line in read.cost.serving),
    )
    for table in (money_table(cost), business_table(read.business)):
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


def card_text(report: dict[str, Any]) -> str:
    """All text of the Slack message that ends the job."""
    text, blocks = final_report(job(kind="measure", state=State.SUCCEEDED, report=report, spec={}))
    return " ".join([text, *texts_of(blocks)])


def test_no_place_names_an_amount_of_its_own(report: dict[str, Any]) -> None:
    """Headline, sentences, card, both pictures and terminal name only amounts that the report's figures come to."""
    known = known_amounts(report)
    places = {
        "headline": report["headline"],
        "cost": report["cost"]["sentence"],
        "case": report["business"]["sentence"],
        "card": card_text(report),
        "slide": " ".join(plot["alt"] + " " + plot["title"] for plot in report["plots"]),
        "terminal": terminal_text(report),
    }
    for place, text in places.items():
        assert amounts(text) <= known, (place, amounts(text) - known)
    assert all(amounts(places[place]) for place in ("cost", "case", "card", "slide", "terminal"))


def test_slide_and_terminal_leave_the_same_over(report: dict[str, Any]) -> None:
    """Each alternative has one amount a month, wherever it stands; the price per wrong answer is in it."""
    alt, terminal = report["plots"][1]["alt"], terminal_text(report).splitlines()
    lines = [line for line in report["business"]["lines"] if line["share"]]
    assert {line["kind"] for line in lines} == {"nothing", "trained", "tuned"}
    for line in lines:
        assert f"{line['name']}: {money(line['net_usd'])} a month" in alt
        row = next(text for text in terminal if text.strip().startswith(line["name"]))
        assert row.strip().endswith(money(line["net_usd"]))
    finetune = next(line for line in lines if line["kind"] == "tuned")
    assert finetune["wrong_usd"] == pytest.approx(0.4 * 3_000 * 0.1 * 2)


def test_no_amount_is_told_as_nothing(report: dict[str, Any]) -> None:
    """Nothing that costs something is "$0", and what is below a dollar is in cents."""
    for text in (card_text(report), terminal_text(report)):
        assert not re.search(r"\$0(?![.,\d])|\$0\.", text)


@pytest.mark.parametrize("usd", [0.0, 0.0004, 0.75, 0.999, 1.0, 3.4, 30.0, 99.99, 100.4, 1234.5])
def test_the_advisers_lines_word_money_as_the_reports_do(usd: float) -> None:
    """The adviser may not import the trainer, so it has the same rule of its own."""
    assert _usd(usd) == money(usd)
