"""`trainwise remote` as a container runs it: a real process, a real fine-tune, no key of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finetune.data.store import DatasetStore
from finetune.data.ticket import Tickets, canonical
from finetune.platforms.contract import RUN_KEY
from finetune.platforms.run_key import CorruptResult, RunKey
from finetune.platforms.runs import CLAIM, DATA, DONE, LIFE, ORDER, STOP, RunStore, event_path
from finetune.serving.predict import try_text
from finetune.spec import parse_spec
from tests.integration.conftest import add_dataset
from tests.terminal import ROOT
from worker.dispatch.local_evaluation import TrainedRun, evaluate_locally
from worker.dispatch.packing import without_held_out
from worker.transport import signing
from worker.transport.signing import PREFIX, Envelope, encode, order, seal

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-job00001-1"
KEY = RunKey(TAG, "7" * 64)


def dataset(tmp_path: Path) -> Tickets:
    """A team's few tickets."""
    add_dataset(tmp_path / "datasets", "few")
    store = DatasetStore(str(tmp_path / "datasets"))
    return store.tickets(store.get("few").digest)


def place_run(tmp_path: Path, tickets: Tickets, choosing: int | None = None) -> RunStore:
    """A run's place with a signed order and these rows."""
    spec = parse_spec({"dataset": "few", "digest": tickets.digest, "method": "linear"}).to_json()
    envelope = Envelope("job00001", 1, TAG, "job00001", "finetune", spec, "few", 4e9, 600, 0.0, 5.0)
    message = {**order(envelope), "remote": TAG, "price_per_hour": 0.6, "prices": {}, "choosing": choosing}
    runs = RunStore(str(tmp_path / "runs"))
    runs.write(TAG, ORDER, seal(message, signing.bot_key(tmp_path / "keys")))
    runs.write(TAG, f"{DATA}/rows/{tickets.digest}.jsonl", canonical(tickets.rows))
    return runs


@pytest.fixture
def runs(tmp_path: Path) -> RunStore:
    """A run's place with a signed order and all rows."""
    return place_run(tmp_path, dataset(tmp_path))


def container(tmp_path: Path, tag: str = TAG) -> subprocess.CompletedProcess[str]:
    """The command that the bot hands to a platform, with an environment that holds nothing of ours."""
    public = PREFIX + encode(signing.bot_key(tmp_path / "keys").public.raw.public_bytes_raw())
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    env[RUN_KEY] = KEY.secret
    words = [sys.executable, "-m", "bot.cli", "remote", str(tmp_path / "runs" / tag), "--bot-key", public]
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=900, cwd=tmp_path)


def test_an_order_is_run_its_result_checked_and_a_second_container_leaves(
    runs: RunStore, tmp_path: Path
) -> None:
    """Events one a line, a sign of life, the manifest, last `done.json`; the model that came back answers a ticket."""
    runs.write(TAG, DONE, b'{"kind": "finished", "data": {}}')  # a stranger's: nobody leaves for it
    runs.write(TAG, event_path(0), b'{"kind": "step"}')
    result = container(tmp_path)
    assert KEY.secret not in result.stdout + result.stderr
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert next(line["phase"] for line in lines if line["kind"] == "phase") == "loading"
    assert runs.signed(KEY, LIFE) is not None
    assert (runs.signed(KEY, DONE) or {})["kind"] == "finished"
    assert runs.events(KEY, 0)[0][0] == {"kind": "phase", "phase": "loading"}
    report = runs.fetch(KEY, tmp_path / "back")
    assert report.report["kind"] == "finetune"
    assert report.plots
    assert try_text(tmp_path / "back" / "files", "I was charged twice").answer
    again = container(tmp_path)
    assert "done already" in again.stdout
    (tmp_path / "runs" / TAG / "files" / "model" / "trainwise.json").write_text("{}")
    with pytest.raises(CorruptResult, match=r"trainwise\.json"):
        runs.fetch(KEY, tmp_path / "twice")


def test_a_container_without_held_out_rows_trains_and_a_process_here_measures(tmp_path: Path) -> None:
    """It says nothing of how good the model is; the report is made here, and the files that came back answer a ticket."""
    tickets = dataset(tmp_path)
    spec = parse_spec({"dataset": "few", "digest": tickets.digest, "method": "linear"})
    runs = place_run(tmp_path, *without_held_out(spec, tickets))
    result = container(tmp_path)
    assert result.returncode == 0, result.stderr
    came_back = runs.fetch(KEY, tmp_path / "back")
    assert came_back.report["kind"] == "training"
    assert "systems" not in came_back.report
    folder = tmp_path / "back" / "files"
    (folder / "run.json").unlink()
    run = TrainedRun(spec.to_json(), tickets, came_back.report, folder, 0.05)
    report = evaluate_locally(run, lambda: False).report
    assert report["kind"] == "finetune"
    assert report["dataset"]["digest"] == tickets.digest
    assert report["systems"][-1]["role"] == "tuned"
    assert report["cost"]["usd"] == came_back.report["spent"]["usd"]
    assert try_text(folder, "I was charged twice").answer


def test_a_second_container_or_one_with_another_order_trains_nothing(runs: RunStore, tmp_path: Path) -> None:
    """Claimed elsewhere: it leaves; a stop that the bot signed: it leaves; an order of another key or tag is refused."""
    assert runs.create(TAG, CLAIM, b'{"instance": "another"}')
    assert not runs.create(TAG, CLAIM, b"mine")
    assert "claimed by another" in container(tmp_path).stdout
    key = signing.bot_key(tmp_path / "keys")
    runs.write(TAG, STOP, seal({"stop": TAG, "reason": "cancel"}, key))
    assert "told to stop" in container(tmp_path).stdout
    other = "tw-abcdef-job00001-2"
    runs.write(other, ORDER, runs.read(TAG, ORDER) or b"")
    refusal = container(tmp_path, other)
    assert refusal.returncode == 2
    assert "another submission" in refusal.stderr
    assert runs.read(other, DONE) is None
