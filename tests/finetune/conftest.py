"""One S3 server for all tests of a process, and this machine's credentials for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.s3_server import S3Server, s3_server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 wire on loopback."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_here(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with this process set up to use it as a bot's machine would be."""
    from s3fs import S3FileSystem

    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()  # it remembers the credentials of the process
    return s3
