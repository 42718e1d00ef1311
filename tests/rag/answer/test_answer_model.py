"""The answerability model tells what answers a question from what only stands near it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.answer.answer_model import LOGITS, AnswerModel, load_answer_model
from rag.answer.pieces import piece_in_context
from rag.search.embedding import MiniLM

pytestmark = pytest.mark.integration

# question, the piece that answers, a piece that stands near; of no document and no training pair
PAIRS = (
    ("who runs the marina?", "The harbour master is Ulrich Stamm.", "The marina has 240 berths."),
    ("how many berths are there", "The marina has 240 berths.", "A berth costs 30 euros a night."),
    ("what does a night cost", "A berth costs 30 euros a night.", "Showers are open all night."),
    ("when was the marina built", "Building was finished in 1987.", "The marina was designed by Lena Holt."),
    ("who designed the marina", "The marina was designed by Lena Holt.", "Building was finished in 1987."),
    ("phone number of the harbour master", "Ring the harbour master on 0431 7788.", "The harbour master is Ulrich Stamm."),
    ("how deep is the basin", "Depth at low water: 2.4 metres.", "The basin was dredged in 2019."),
    ("may I keep my dog on the boat", "Dogs are welcome on board and on a lead ashore.", "Boats over 14 metres need a permit."),
    ("what is a berth holder", "A berth holder is somebody who rents a place by the year.", "Berth holders pay 900 euros."),
    ("wifi password", "The wireless network is harbour7 and its password anchor.", "Wireless costs nothing for guests."),
)  # fmt: skip


@pytest.fixture(scope="module")
def model(embed: MiniLM) -> AnswerModel:
    return load_answer_model(embed.cache)


def in_marina(text: str) -> str:
    return piece_in_context("Marina Oststrand", "For guests", text, "", ())


def test_an_answer_stands_above_what_is_near(model: AnswerModel) -> None:
    """In at least eight of ten pairs whose words overlap, the answer has the higher logit."""
    right = [
        bool(np.diff(model(question, [in_marina(near), in_marina(answer)])[:, 0])[0] > 0)
        for question, answer, near in PAIRS
    ]
    assert sum(right) >= 8, right


def test_another_year_or_place_is_another_subject(model: AnswerModel) -> None:
    """The same sentence about another year, or in another house's document, is less of an answer."""
    question = "how many boats came to Marina Oststrand in 2021?"
    texts = [
        in_marina("In 2021 there were 3,410 boats."),
        in_marina("In 2016 there were 3,410 boats."),
        piece_in_context("Port of Calvik", "For guests", "In 2021 there were 3,410 boats.", "", ()),
    ]
    logits = model(question, texts)[:, 0]
    assert logits[0] > logits[1]
    assert logits[0] > logits[2]


def test_a_row_is_read_with_its_columns(model: AnswerModel) -> None:
    """A cell answers by the name of its column and the label of its row."""
    header = ("Place", "Single", "Season")
    rows = [
        piece_in_context("Marina Oststrand", "Fees", f"| {label} | €{n} | €{9 * n} |", "", header)
        for label, n in (("Pontoon A", 20), ("Pontoon B", 30), ("Buoy", 12))
    ]
    assert int(model("season fee for a buoy", rows)[:, 0].argmax()) == 2
    assert int(model("what does pontoon B cost", rows)[:, 0].argmax()) == 1


def test_nothing_and_the_very_long_are_read(model: AnswerModel) -> None:
    """No text gives no row; a long question and a long piece are cut, not refused."""
    assert model("what?", []).shape == (0, LOGITS)
    logits = model("word " * 3000, ["sentence " * 5000, ""])
    assert logits.shape == (2, LOGITS)
    assert np.isfinite(logits).all()


def test_the_graph_is_built_once(embed: MiniLM, model: AnswerModel) -> None:
    """Its folder lies beside the embedder's and is named after the weights."""
    folders = [path for path in Path(embed.cache).iterdir() if path.name.startswith("answering-")]
    assert folders
    assert load_answer_model(embed.cache) is model
