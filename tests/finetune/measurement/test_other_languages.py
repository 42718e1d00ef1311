"""German tickets: measurement and fine-tune stand on the multilingual encoder, give the same figures, and the model is served with it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from finetune.artifacts import find_model, read_card
from finetune.catalog import MULTILINGUAL
from finetune.data.ticket import Ticket, Tickets
from finetune.measurement.findings import MeasureContext, Request
from finetune.measurement.run import measure
from finetune.pipeline import run
from finetune.serving.deploy import load_version, make_version
from finetune.serving.predict import load
from finetune.spec import parse_spec
from finetune.training.multilingual import WEIGHTS
from tests.finetune.measurement.measuring import PRICES

pytestmark = pytest.mark.integration
PARTS = {
    "Rechnung": [
        "die Rechnung ist falsch",
        "ein Betrag wurde doppelt abgebucht",
        "die Gutschrift fehlt noch",
    ],
    "Anmeldung": ["das Passwort wird abgelehnt", "die Anmeldung schlägt fehl", "mein Konto ist gesperrt"],
    "Versand": [
        "das Paket ist nicht angekommen",
        "die Lieferung ist beschädigt",
        "die Sendung hängt im Zoll",
    ],
}
OPENINGS = [
    "Guten Tag, leider",
    "Hallo zusammen, seit gestern",
    "Sehr geehrte Damen und Herren,",
    "Kurze Frage, denn",
]
ENDINGS = [
    "Bitte um Hilfe.",
    "Was kann ich tun?",
    "Danke im Voraus.",
    "Das eilt sehr.",
    "Ich warte seit Tagen.",
]


def german_tickets() -> Tickets:
    """180 tickets of three queues."""
    rows = [
        Ticket(f"{queue}-{at}", f"{opening} {part}, Vorgang {at * 37 % 91}. {ending}", queue)
        for queue, parts in PARTS.items()
        for at, (opening, part, ending) in enumerate(itertools.product(OPENINGS, parts, ENDINGS))
    ]
    return Tickets(tuple(rows), "triage")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """A measurement, a `linear` fine-tune on the same rows, and the folder of the latter."""
    tickets, folder = german_tickets(), tmp_path_factory.mktemp("german")
    quiet = {"emit": lambda _: None, "should_stop": lambda: None}
    context = MeasureContext(
        folder=folder / "m", prices=PRICES, allowed_s=1.0, **quiet
    )  # no time for a pilot
    measurement = measure(tickets, Request(0.5), context)
    spec = parse_spec({"dataset": "german", "method": "linear"})
    return measurement, run(spec, tickets, folder / "f", lambda _: None, lambda: None), folder / "f"


def test_both_say_which_encoder_they_stand_on(
    reports: tuple[dict[str, Any], dict[str, Any], Path],
) -> None:
    """And give every cheap method the same figures."""
    measurement, fine_tune, _ = reports
    for notes in (measurement["warnings"], fine_tune["notes"]):
        assert any("Universal Sentence Encoder multilingual" in note and "German" in note for note in notes)
    ladder = {line["name"]: line["accuracy"] for line in measurement["ladder"]}
    systems = {line["name"]: line["accuracy"] for line in fine_tune["systems"]}
    assert len(ladder.keys() & systems.keys()) >= 4
    assert {name: systems[name] for name in ladder.keys() & systems.keys()} == {
        name: ladder[name] for name in ladder.keys() & systems.keys()
    }


def test_the_model_is_tried_and_served_with_its_encoder(
    reports: tuple[dict[str, Any], dict[str, Any], Path], tmp_path: Path
) -> None:
    """The saved card names it, a version carries its weights, and both give the same answer."""
    _, _, folder = reports
    assert read_card(find_model(folder))["base_model"] == MULTILINGUAL
    text = "Guten Tag, mein Passwort geht nicht mehr und das Konto ist gesperrt."
    model = load(folder)
    assert model.classes[model.probabilities([text])[0].argmax()] == "Anmeldung"
    versions = make_version(folder, "v1", tmp_path, lambda _: german_tickets(), "german")
    place = next(path.parent for path in tmp_path.rglob("served.json"))
    assert (place / WEIGHTS).is_file()
    assert json.loads((place / "served.json").read_text())["measured"]["same_answer_as_evaluated"] == 1.0
    assert load_version(place, 0.5).answer(text).likeliest[0][0] == "Anmeldung"
    assert versions is not None
