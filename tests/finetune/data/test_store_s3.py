"""Datasets in a bucket, over S3's real wire: the whole way by the terminal, and each way in which it can go wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from s3fs import S3FileSystem
from typer.testing import CliRunner

from bot.cli.app import app, register
from bot.cli.doctor import datasets
from bot.settings import Settings, load_settings
from finetune.data.store import SAMPLES, DatasetStore
from finetune.data.ticket import DatasetError
from finetune.spec import parse_spec
from tests.finetune.data.test_store import EVERYONE, as_they_are, some_tickets
from tests.s3_server import S3Server, account, free_port, s3_server
from tests.terminal import ROOT, error_of, trainwise
from worker.kinds import finetune
from worker.runtime.attempt import Work, run_attempt
from worker.transport.signing import Envelope

pytestmark = pytest.mark.integration


def settings_at(home: Path, url: str) -> Settings:
    """A machine's settings with its datasets at `url`."""
    return load_settings({"TRAINWISE_HOME": str(home), "TRAINWISE_DATASETS_URL": url})


def work(home: Path, url: str, digest: str) -> Work:
    """An attempt of a fine-tune on the rows of `digest`, as a worker's child gets it."""
    spec = parse_spec({"dataset": "tickets", "digest": digest, "method": "linear"}).to_json()
    envelope = Envelope("j1", 1, "f", "j1", "finetune", spec, "tickets", 2e9, 60, 0.0, None)
    return Work(envelope, home, url, lambda _: None, lambda: None, 0.0, {})


def test_the_whole_way_by_the_terminal(s3_here: S3Server, tmp_path: Path, monkeypatch) -> None:
    """Add, list, show, a second version, doctor, forget and remove: each finds it in the bucket."""
    url = s3_here.bucket(uuid.uuid4().hex)
    monkeypatch.chdir(tmp_path)
    register()

    def run(*words: str) -> str:
        env = {"TRAINWISE_HOME": str(tmp_path), "TRAINWISE_DATASETS_URL": url, "COLUMNS": "200"}
        result = CliRunner().invoke(app, words, env=env, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    rows = (SAMPLES / "tickets.csv").read_text().splitlines()
    for upto in (81, 121):
        (tmp_path / "tickets.csv").write_text("\n".join(rows[:upto]))
        run("datasets", "add", "tickets.csv", "--yes", "--name", "mine")
    assert "sample-tickets" in run("datasets", "list")
    card = json.loads(run("datasets", "show", "mine", "--json"))
    assert (card["version"], card["rows"] > 100) == (2, True)
    assert datasets(settings_at(tmp_path, url)).detail == f"3 at {url}"
    assert "rows erased" in run("forget", rows[1].split(",")[2])
    assert "Erased" in run("datasets", "remove", "mine")
    objects = s3_here.client().list_objects_v2(Bucket=url.split("/")[2])["Contents"]
    assert not [one["Key"] for one in objects if "/mine/" in one["Key"] or card["digest"] in one["Key"]]


def test_erasing_reaches_the_old_versions_that_a_bucket_keeps(s3_here: S3Server) -> None:
    """In a bucket with versioning a plain delete only hides: after `remove` no version of rows is left."""
    name = uuid.uuid4().hex
    store = DatasetStore(s3_here.bucket(name, versions=True), prepare=as_they_are)
    store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    store.annotate(store.get("tickets"), noise={"suspects": 1})
    store.remove("tickets", "U1")
    left = s3_here.client().list_object_versions(Bucket=name)
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")


def test_the_rights_that_the_docs_name_suffice_and_a_missing_one_is_told(
    s3_here: S3Server, monkeypatch
) -> None:
    """Four rights run a plain bucket; in one with versions erasing says what is missing and can be repeated."""
    rights = ("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    key, secret = account(s3_here.client("iam"), "narrow", rights)
    plain, history = s3_here.bucket(uuid.uuid4().hex), s3_here.bucket(uuid.uuid4().hex, versions=True)

    def store(url: str, key: str, secret: str) -> DatasetStore:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        S3FileSystem.clear_instance_cache()
        return DatasetStore(url, prepare=as_they_are)

    for url in (plain, history):
        store(url, key, secret).keep(some_tickets(), "tickets", "U1", EVERYONE, "")
    assert store(plain, key, secret).remove("tickets", "U1").rows == 24
    with pytest.raises(DatasetError, match=r"keeps old versions(.|\n)*Allow s3:ListBucketVersions"):
        store(history, key, secret).remove("tickets", "U1")
    assert store(history, s3_here.key, s3_here.secret).remove("tickets", "U1").rows == 24
    assert not s3_here.client().list_object_versions(Bucket=history.split("/")[2]).get("Versions")


def test_a_list_is_one_listing_however_many_datasets(s3_here: S3Server) -> None:
    """Slack's form must open within three seconds: one listing, then all cards at once."""
    name = uuid.uuid4().hex
    store = DatasetStore(s3_here.bucket(name), prepare=as_they_are)
    for place in range(6):
        store.keep(some_tickets(f"words {place}"), f"tickets-{place}", "U1", EVERYONE, "")
    before = s3_here.log.read_text().count("\n")
    assert len(store.list()) == 6
    requests = s3_here.log.read_text().splitlines()[before:]
    assert sum("list-type=2" in line for line in requests) == 1
    assert len(requests) <= 1 + 2 * 6


@pytest.mark.parametrize(
    ("settings", "bucket", "message"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, None, "refuses these credentials (SignatureDoesNotMatch)"),
        ({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, None, "refuses these credentials (InvalidAccessKeyId)"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, None, "no usable credentials"),
        ({"AWS_PROFILE": "nobody"}, None, "no usable credentials"),
        ({}, "no-such-bucket", "There is no bucket for s3://no-such-bucket/trainwise."),
        (
            {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
            None,
            "does not answer (EndpointConnection",
        ),
    ],
)
def test_errors_are_plain_sentences(
    s3_here: S3Server, monkeypatch, settings: dict[str, str], bucket: str | None, message: str
) -> None:
    """Wrong keys, no keys, no bucket, nobody there: what to check, and no key in the text; reading as writing."""
    url = s3_here.bucket(uuid.uuid4().hex) if bucket is None else f"s3://{bucket}/trainwise"
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    for act in (
        lambda store: store.list(),
        lambda store: store.tickets("0" * 64),
        lambda store: store.keep(some_tickets(), "tickets", "U1", EVERYONE, ""),
        lambda store: store.remove("tickets", "U1"),
    ):
        with pytest.raises(DatasetError) as error:
            act(DatasetStore(url, prepare=as_they_are))
        # A look at one object is answered with 403.
        assert message in str(error.value) or "(403)" in str(error.value)
        assert any(word in str(error.value) for word in ("AWS_", "TRAINWISE_DATASETS_URL"))
        assert s3_here.secret not in str(error.value)


def test_the_terminal_says_it_once(s3: S3Server, tmp_path: Path) -> None:
    """One message on stderr and exit code 2, without a traceback."""
    env = {**s3.env, "TRAINWISE_DATASETS_URL": "s3://no-such-bucket/trainwise"}
    assert "There is no bucket for" in error_of(trainwise(tmp_path, env, "datasets", "list"))


def test_without_its_package_an_address_says_what_to_install(tmp_path: Path) -> None:
    """A machine without s3fs (or gcsfs) names it."""
    without = "import sys; sys.modules['s3fs'] = None; from finetune.data.store import DatasetStore; "
    code = without + "from finetune.data.ticket import DatasetError\ntry: DatasetStore('s3://b/p')\n"
    code += "except DatasetError as error: print(error)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "Install `pip install s3fs` where bot and workers run" in process.stdout.replace("\n", " ")
    with pytest.raises(DatasetError, match="pip install gcsfs"):
        DatasetStore("gs://bucket/prefix")


def test_a_bucket_that_dies_between_two_calls_loses_nothing(tmp_path: Path, monkeypatch) -> None:
    """While it is away each call says so, and a worker's run asks to be tried again; a wrong key ends it."""
    with s3_server(tmp_path) as server:
        for variable, value in server.env.items():
            monkeypatch.setenv(variable, value)
        S3FileSystem.clear_instance_cache()
        url = server.bucket("tickets")
        store = DatasetStore(url, prepare=as_they_are)
        card = store.keep(some_tickets(), "tickets", "U1", EVERYONE, "")
        server.process.kill()
        server.process.wait()
        with pytest.raises(DatasetError, match="does not answer"):
            store.keep(some_tickets("again"), "tickets", "U1", EVERYONE, "")
        kind, data = run_attempt(finetune.KIND.run, work(tmp_path, url, card.digest))
        assert (kind, data["retryable"]) == ("failed", True)
        assert "does not answer" in data["error"]
