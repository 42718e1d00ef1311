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

from finetune.platforms.contract import NoAnswer, PlatformError
from finetune.platforms.plain_json import plain_object
from finetune.platforms.run_key import CorruptResult, Forgery, RunKey
from finetune.platforms.runs import CLAIM, DONE, MANIFEST, REPORT, REPORT_BYTES, RunStore, event_path
from tests.s3_server import s3_server
from worker.runtime.remote import Container
from worker.transport import signing

pytestmark = pytest.mark.integration
TAG = "tw-abcdef-job00001-1"
KEY = RunKey(TAG, "5" * 64)
RESULT = {"kind": "finetune", "headline": "Done."}


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


def test_a_file_that_was_swapped_for_a_larger_one_is_not_fetched(runs: RunStore, tmp_path: Path) -> None:
    """Its size is looked at first: it might not fit on the disk."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "model.safetensors").write_bytes(b"ours")
    runs.save_result(KEY, tmp_path / "work", RESULT, {})
    runs.write(TAG, "files/model.safetensors", b"theirs" * 100)
    back = tmp_path / "back"
    with pytest.raises(CorruptResult, match=r"model\.safetensors"):
        runs.fetch(KEY, back)
    assert [path for path in back.rglob("*") if path.is_file()] == []


def test_one_container_claims_the_run_its_result_is_complete_and_nothing_is_left(
    runs: RunStore, tmp_path: Path
) -> None:
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
        runs.fetch(KEY, tmp_path / "early")
    runs.save_result(KEY, folder, RESULT, {"loss.png": "aGk="})
    result = runs.fetch(KEY, tmp_path / "back")
    assert (result.report, result.plots) == (RESULT, {"loss.png": "aGk="})
    files = {
        path.relative_to(tmp_path / "back" / "files").as_posix()
        for path in (tmp_path / "back" / "files").rglob("*.*")
    }
    assert files == {"model/model.safetensors", "model/trainwise.json"}
    runs.write(TAG, "files/model/model.safetensors", b"{{")
    with pytest.raises(CorruptResult):
        runs.fetch(KEY, tmp_path / "spoilt")
    for number, event in enumerate(({"kind": "phase", "phase": "loading"}, {"kind": "step", "step": 1})):
        runs.append_event(KEY, number, event)
    assert [event["kind"] for event in runs.events(KEY, 0)[0]] == ["phase", "step"]
    assert runs.events(KEY, 2) == ([], "")
    runs.write(TAG, DONE, b'{"kind": "' + b"x" * REPORT_BYTES + b'"}')
    assert len(runs.read(TAG, DONE, 100) or b"") == 100
    with pytest.raises(Forgery):
        runs.signed(KEY, DONE)
    assert runs.erase(TAG) == []
    assert runs.read(TAG, CLAIM) is None


@pytest.mark.parametrize(
    "name", ["../evil.json", "/etc/x.json", "files/a.pkl", "files/../../x.json", "files/.hidden.json"]
)
def test_a_manifest_that_leads_out_or_names_code_is_refused(tmp_path: Path, name: str) -> None:
    """Whatever stands in the bucket, nothing is written outside the job's folder and nothing that could run is taken."""
    runs = RunStore(str(tmp_path / "runs"))
    entry = {"name": name, "size": 1, "sha256": "0" * 64}
    runs.sign(KEY, MANIFEST, {"files": [entry]})
    with pytest.raises(CorruptResult):
        runs.fetch(KEY, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_bucket_that_is_away_for_a_while_does_not_cost_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last writes are tried again; one that never works is an error, so that nobody takes the run for done."""
    runs = RunStore(str(tmp_path / "runs"))
    key = signing.bot_key(tmp_path / "keys").public
    container = Container(runs, KEY, key, io.StringIO(), waits_s=(0.0, 0.0))
    failures = [NoAnswer("away"), NoAnswer("away")]

    def write() -> None:
        if failures:
            raise failures.pop()
        runs.write(TAG, DONE, b"{}")

    container._with_retries(write)
    assert runs.read(TAG, DONE) == b"{}"
    failures += [NoAnswer("away")] * 3
    with pytest.raises(NoAnswer):
        container._with_retries(write)


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
    runs.sign(KEY, MANIFEST, {"files": entries})
    with pytest.raises(CorruptResult, match="larger"):
        runs.fetch(KEY, tmp_path / "back")


def test_what_the_run_s_key_did_not_prove_is_refused(tmp_path: Path) -> None:
    """A manifest of a stranger or of another run, one moved to another name, an event, a last word: each is refused by name."""
    runs, other = RunStore(str(tmp_path / "runs")), RunKey("tw-abcdef-job00002-1", "6" * 64)
    folder = tmp_path / "work"
    folder.mkdir()
    for tag, key in ((TAG, KEY), (other.tag, other)):
        (folder / "model.safetensors").write_bytes(tag.encode())
        runs.save_result(key, folder, RESULT, {})
        runs.append_event(key, 0, {"kind": "step", "step": 1})
    genuine = runs.read(TAG, MANIFEST) or b""
    for fake in (
        json.dumps({"files": []}).encode(),
        runs.read(other.tag, MANIFEST) or b"",
        genuine.replace(b"model.safetensors", b"model.safetensor5"),
        RunKey(TAG, "6" * 64).seal(MANIFEST, {"files": []}),
        RunKey(other.tag, KEY.secret).seal(MANIFEST, {"files": []}),
        KEY.seal(DONE, {"files": []}),
        b'{"hmac_sha256": "\xff", "text": 7}',
        b'{"hmac_sha256": "a", "text": "\\ud800"}',
        b"[" * 100_000,
    ):
        runs.write(TAG, MANIFEST, fake)
        with pytest.raises(Forgery, match=r"manifest\.json"):
            runs.fetch(KEY, tmp_path / "back")
        assert not (tmp_path / "back").exists()
    runs.write(TAG, MANIFEST, genuine)
    assert runs.fetch(KEY, tmp_path / "back").report == RESULT
    runs.write(TAG, REPORT, b'{"report": {"headline": "Theirs"}, "plots": {}}')
    with pytest.raises(CorruptResult, match="report"):
        runs.fetch(KEY, tmp_path / "twice")
    runs.write(TAG, event_path(1), runs.read(TAG, event_path(0)) or b"")
    events, why = runs.events(KEY, 0)
    assert (len(events), event_path(1) in why) == (1, True)
    runs.append_event(KEY, 1, {"kind": "note"})
    assert [one["kind"] for one in runs.events(KEY, 0)[0]] == ["step", "note"]


def test_a_run_without_a_key_signs_and_verifies_nothing(tmp_path: Path) -> None:
    """An empty secret is one that everybody has."""
    runs, keyless = RunStore(str(tmp_path / "runs")), RunKey(TAG, "")
    with pytest.raises(PlatformError, match="no key"):
        runs.sign(keyless, DONE, {})
    proof = keyless._proof(DONE, "{}")
    runs.write(TAG, DONE, json.dumps({"hmac_sha256": proof, "text": "{}"}).encode())
    with pytest.raises(Forgery):
        runs.signed(keyless, DONE)


def test_text_about_nul_survives(tmp_path: Path) -> None:
    """The six characters of a NUL's escape in a ticket are text; a NUL itself, which a database refuses, goes."""
    runs = RunStore(str(tmp_path / "runs"))
    runs.sign(KEY, DONE, {"text": "a\\u0000b", "nul": "c\x00d\x00\x00"})
    assert runs.signed(KEY, DONE) == {"text": "a\\u0000b", "nul": "cd"}
