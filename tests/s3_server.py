"""An S3 server of its own on 127.0.0.1 (moto, as a process) that checks every request's signature."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.playground.patience import Patience

MAY_ALL = ("s3:*", "iam:*")
OPEN_CALLS = 3  # until then nobody is asked for a signature: user, policy and key are made


@dataclass(frozen=True)
class S3Server:
    """Where it is, the keys of a user who may do everything there, and its process."""

    endpoint: str
    key: str
    secret: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def env(self) -> dict[str, str]:
        """What a machine sets to use it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str = "s3") -> Any:
        """Amazon's own client for it."""
        return client(service, self.endpoint, self.key, self.secret)

    def bucket(self, name: str, versions: bool = False) -> str:
        """The address of a prefix in a new bucket."""
        s3 = self.client()
        s3.create_bucket(Bucket=name)
        if versions:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return f"s3://{name}/trainwise"


def client(service: str, endpoint: str, key: str, secret: str) -> Any:
    """A boto3 client; the import takes a second."""
    import boto3

    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def account(iam: Any, name: str, actions: tuple[str, ...]) -> tuple[str, str]:
    """(key, secret) of a new user who may do these things."""
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="mine", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A running server with one user; ends with the block."""
    port, log = free_port(), folder / "s3.log"
    env = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(OPEN_CALLS)}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        wait_for(port, process, log)
        endpoint = f"http://127.0.0.1:{port}"
        key, secret = account(client("iam", endpoint, "anyone", "anything"), "trainwise", MAY_ALL)
        yield S3Server(endpoint, key, secret, process, log)
    finally:
        process.kill()
        process.wait()
        _forget_connections()


def _forget_connections() -> None:
    """fsspec keeps a file system for equal arguments: the next test of this process would be sent to the server that ended."""
    if "s3fs" in sys.modules:
        sys.modules["s3fs"].S3FileSystem.clear_instance_cache()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Returns once somebody listens on the port."""
    patience = Patience(seconds)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or patience.is_over():
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)
