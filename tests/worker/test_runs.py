"""A run's place in a folder and in S3: one claim, files by their manifest, nothing outside, nothing left."""

from __future__ import annotations

import errno
import io
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem

from finetune.platforms.contract import NoAnswer
from finetune.platforms.runs import CLAIM, DONE, MANIFEST, REPORT_BYTES, CorruptResult, RunStore, plain_object
from tests.s3_server import s3_server
from worker.runtime.remote import Container
from worker.transport import signing

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-job00001-1"
REPORT = {"kind": "finetune", "headline": "Done."}


@pytest.fixture(params=["folder", "s3"])
def runs(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The place, here and in a bucket behind S3's real wire."""
    if request.param == "folder":
        yield RunStore(str(tmp_path / "runs"))
        return
    with s3_server(tmp_path) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        S3FileSystem.clear_instance_cache()  # it remembers the address of another test's server
        yield RunStore(server.bucket(uuid.uuid4().hex))


def test_one_claims_the_result_comes_back_whole_and_nothing_stays(runs: RunStore, tmp_path: Path) -> None:
    """The second claim is refused; checkpoints and what could run stay behind; a spoilt file is noticed; erasing leaves none."""
    assert runs.create(TAG, CLAIM, b"one")
    assert not runs.create(TAG, CLAIM, b"two")
    folder = tmp_path / "work"
    for name in (
        "model/model.safetensors",
        "model/trainwise.json",
        "model/evil.pkl",
        "checkpoints/c/optimizer.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")
    with pytest.raises(NoAnswer):
        runs.fetch(TAG, tmp_path / "early")
    runs.save_result(TAG, folder, REPORT, {"loss.png": "aGk="})
    result = runs.fetch(TAG, tmp_path / "back")
    assert (result.report, result.plots) == (REPORT, {"loss.png": "aGk="})
    files = {
        path.relative_to(tmp_path / "back" / "files").as_posix()
        for path in (tmp_path / "back" / "files").rglob("*.*")
    }
    assert files == {"model/model.safetensors", "model/trainwise.json"}
    runs.write(TAG, "files/model/model.safetensors", b"{{")
    with pytest.raises(CorruptResult):
        runs.fetch(TAG, tmp_path / "spoilt")
    for number, event in enumerate(({"kind": "phase", "phase": "loading"}, {"kind": "step", "step": 1})):
        runs.append_event(TAG, number, event)
    assert [event["kind"] for event in runs.events(TAG, 0)] == ["phase", "step"]
    assert runs.events(TAG, 2) == []
    runs.write(TAG, DONE, b'{"kind": "' + b"x" * REPORT_BYTES + b'"}')
    assert len(runs.read(TAG, DONE, 100) or b"") == 100
    assert runs.json(TAG, DONE) is None
    assert runs.erase(TAG) == []
    assert runs.read(TAG, CLAIM) is None


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/x.json", "files/a.pkl", "files/../../x.json", "files/.hidden.json"]
)
def test_a_manifest_that_leads_out_or_names_code_is_refused(tmp_path: Path, name: str) -> None:
    """Whatever stands in the bucket, nothing is written outside the job's folder and nothing that could run is taken."""
    runs = RunStore(str(tmp_path / "runs"))
    entry = {"name": name, "size": 1, "sha256": "0" * 64}
    runs.write(TAG, MANIFEST, json.dumps({"files": [entry]}).encode())
    with pytest.raises(CorruptResult):
        runs.fetch(TAG, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_bucket_that_is_away_for_a_while_does_not_cost_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last writes are tried again; one that never works is an error, so that nobody takes the run for done."""
    runs = RunStore(str(tmp_path / "runs"))
    key = signing.bot_key(tmp_path / "keys").public
    container = Container(runs, TAG, key, io.StringIO(), waits_s=(0.0, 0.0))
    failures = [NoAnswer("away"), NoAnswer("away")]

    def write() -> None:
        if failures:
            raise failures.pop()
        runs.write(TAG, DONE, b"{}")

    container._insist(write)
    assert runs.read(TAG, DONE) == b"{}"
    failures += [NoAnswer("away")] * 3
    with pytest.raises(NoAnswer):
        container._insist(write)


@pytest.mark.parametrize(
    "data", [b'{"a": 1e999}', b'{"a": NaN}', b'{"a": "\\ud800"}', b'{"a": 1%s}' % (b"0" * 400)]
)
def test_what_a_database_or_a_float_refuses_counts_as_no_object(data: bytes) -> None:
    """An infinity, half a character and a number of 400 digits would stop every later look at the job."""
    assert plain_object(data) is None
    assert plain_object(b'{"a": [1, 2.5, "\\u00e9"]}') == {"a": [1, 2.5, "é"]}


def test_a_mounted_bucket_without_hard_links_has_one_claim_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a mount refuses links the container must not break, and only one may train."""

    def link(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "link", link)
    runs = RunStore(str(tmp_path / "runs"))
    assert runs.create(TAG, CLAIM, b"one")
    assert not runs.create(TAG, CLAIM, b"two")
    assert runs.read(TAG, CLAIM) == b"one"
    assert [path.name for path in (tmp_path / "runs" / TAG).iterdir()] == [CLAIM]


@pytest.mark.parametrize("size", [2**50, -1])
def test_a_result_of_an_impossible_size_is_not_fetched(tmp_path: Path, size: int) -> None:
    """A manifest in a bucket may say anything; the bot's disk is not filled."""
    runs = RunStore(str(tmp_path / "runs"))
    entries = [
        {"name": n, "size": size, "sha256": "0" * 64} for n in ("report.json", "files/model.safetensors")
    ]
    runs.write(TAG, MANIFEST, json.dumps({"files": entries}).encode())
    with pytest.raises(CorruptResult, match="larger"):
        runs.fetch(TAG, tmp_path / "back")
