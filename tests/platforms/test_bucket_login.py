"""Two platforms beside each other, each with a bucket of its own: a real S3 server that checks every signature."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from finetune.platforms import PLATFORMS
from finetune.platforms.contract import NoAnswer, Submission
from tests.platforms import modal_server, runpod_server, sagemaker_server
from tests.platforms.standin import StandIn
from tests.s3_server import S3Server, s3_server

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.mark.parametrize(("name", "server"), [("runpod", runpod_server), ("modal", modal_server)])
def test_each_platform_reaches_its_bucket_by_its_own_key(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, name: str, server: Any
) -> None:
    """The environment's key is SageMaker's, for another account: the first bucket refuses it, SageMaker's own takes it."""
    url = s3.bucket(uuid.uuid4().hex)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "another-account")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    here = type("Here", (StandIn,), {"__init__": lambda self: None})()
    here.url = "http://127.0.0.1:1"
    prefix = f"TRAINWISE_{name.upper()}"
    own = {
        f"{prefix}_S3_KEY_ID": s3.key,
        f"{prefix}_S3_SECRET_KEY": s3.secret,
        f"{prefix}_S3_ENDPOINT": s3.endpoint,
    }
    submission = Submission("tw-abcdef-x-1", "", 600.0, {"order": b"signed"}, "key")
    values = server.settings_for(here, url)
    PLATFORMS[name].connect({**values, **own}).upload(submission)
    with pytest.raises(NoAnswer, match="credentials"):
        PLATFORMS[name].connect(values).upload(submission)
    amazon = {**sagemaker_server.settings_for(here, url), "TRAINWISE_SAGEMAKER_RUNS_URL": url}
    amazon |= {"AWS_ACCESS_KEY_ID": s3.key, "AWS_SECRET_ACCESS_KEY": s3.secret}
    sagemaker: Any = PLATFORMS["sagemaker"].connect(amazon)
    assert sagemaker.runs.read("tw-abcdef-x-1", "order") == b"signed"
