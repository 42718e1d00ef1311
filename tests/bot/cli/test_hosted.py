"""A hosted model at the terminal: asked where it is, and deleted there on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platforms.openai_server import BASE, OpenAiServer, settings_for
from tests.terminal import error_of, trainwise

pytestmark = pytest.mark.integration
MODEL = "ft:base:northwind:tw-x:1"


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    running = OpenAiServer(lambda: 1_800_000_000.0)
    running.models[MODEL] = {"invoice charged twice": "billing", "parcel late": "shipping"}
    yield running
    running.close()


def test_a_hosted_model_answers_and_is_deleted_where_it_is(server: OpenAiServer, tmp_path: Path) -> None:
    """Without the platform's settings the sentence says what to do."""
    place = tmp_path / "runs" / "job1" / "model"
    place.mkdir(parents=True)
    card = {"task": "triage", "method": "hosted", "base_model": BASE, "hosted_model": MODEL}
    card |= {"platform": "openai", "label": "OpenAI", "classes": ["billing", "shipping"]}
    (place / "trainwise.json").write_text(json.dumps(card))
    env = settings_for(server, "")
    answer = trainwise(tmp_path, env, "try", "job1", "I was charged twice for one invoice", "--json")
    assert json.loads(answer.stdout)["after"]["answer"] == "billing", answer.stderr
    assert "docs/platforms.md" in error_of(trainwise(tmp_path, {}, "try", "job1", "hello"))
    gone = trainwise(tmp_path, env, "erase-model", "job1", "--yes")
    assert f"no model {MODEL} any more" in " ".join(gone.stdout.split()), gone.stderr
    assert server.models == {}
    server.models[MODEL] = {}
    trainwise(tmp_path, env, "erase-model", MODEL, "--yes")
    assert server.models == {}
