"""What deploy/ promises, held against the code: ACL and TLS with a real server, variables, files, limits."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.demo.stack import free_port
from bot.playground.patience import Patience
from bot.settings import load_settings
from tests.worker.conftest import WorkerHarness, harness  # noqa: F401  (fixture)
from worker.jobs.states import State
from worker.transport.embedded_redis import embedded_redis
from worker.transport.queue import connect

DEPLOY = Path(__file__).parents[2] / "deploy"


def users_file(folder: Path) -> Path:
    """deploy's ACL file with passwords filled in, and an admin to look from outside."""
    text = (DEPLOY / "redis" / "users.acl").read_text()
    for who, password in (("BOT", "bot-pass"), ("WORKER", "worker-pass")):
        text = text.replace(f"{who}_PASSWORD_SHA256", hashlib.sha256(password.encode()).hexdigest())
    path = folder / "users.acl"
    path.write_text(text + "user admin on >admin-pass ~* &* +@all\n")
    return path


@pytest.mark.integration
def test_bot_and_worker_run_a_job_under_the_acl_and_nothing_else_is_open_to_them(
    harness: WorkerHarness,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Launch, run, cancel with no command denied; other keys, FLUSHALL, CONFIG, KEYS, EVAL on others denied."""
    harness.close_bot()
    harness.redis.stop()
    port = free_port()
    options = {"aclfile": str(users_file(tmp_path))}
    harness.redis = embedded_redis(harness.home / "acl", port, options=options)
    harness.redis.url = f"redis://trainwise-bot:bot-pass@127.0.0.1:{port}/0"
    harness.open_bot()
    harness.redis.url = f"redis://trainwise-worker:worker-pass@127.0.0.1:{port}/0"
    harness.worker()
    assert harness.end_of(harness.submit(steps=3)).state is State.SUCCEEDED
    job_id = harness.submit(steps=5000, pause_s=0.05)
    harness.at_step(job_id)
    harness.ledger.request_cancel(job_id, "U1", "enough")
    assert harness.end_of(job_id).state is State.CANCELLED
    admin = redis.Redis(port=port, username="admin", password="admin-pass")
    assert admin.acl_log() == []
    worker = redis.Redis(port=port, username="trainwise-worker", password="worker-pass")
    for command in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("GET", "other"), ("ACL", "LIST")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            worker.execute_command(*command)
    with pytest.raises(redis.exceptions.ResponseError):
        worker.eval("return redis.call('get', 'other')", 0)
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=port).ping()


@pytest.mark.integration
def test_the_connection_is_encrypted_and_a_wrong_certificate_is_refused(tmp_path: Path) -> None:
    """deploy's redis.conf on Debian's redis-server: rediss:// works, plain redis:// and a strange CA do not."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server with TLS is missing: apt-get install redis-server")
    certificates(tmp_path / "tls")
    certificates(tmp_path / "strange")
    port = free_port()
    text = (DEPLOY / "redis" / "redis.conf").read_text()
    text = text.replace("/tls/", f"{tmp_path}/tls/").replace(
        "/etc/redis/users.acl", str(users_file(tmp_path))
    )
    text = text.replace("tls-port 6379", f"tls-port {port}").replace("dir /data", f"dir {tmp_path}")
    (tmp_path / "redis.conf").write_text(text)
    process = subprocess.Popen([server, str(tmp_path / "redis.conf")], stdout=subprocess.DEVNULL)
    try:
        ca = tmp_path / "tls" / "ca.crt"
        url = f"rediss://trainwise-bot:bot-pass@127.0.0.1:{port}/0?ssl_ca_certs={ca}"
        patience = Patience(10)
        while True:
            try:
                assert connect(url).ping()
                break
            except redis.ConnectionError:
                assert not patience.is_over()
                time.sleep(0.05)
        with pytest.raises(redis.RedisError):
            connect(url.replace("rediss://", "redis://").split("?")[0]).ping()
        with pytest.raises(redis.RedisError):
            connect(url.replace(str(ca), str(tmp_path / "strange" / "ca.crt"))).ping()
    finally:
        process.kill()
        process.wait()


def certificates(folder: Path) -> None:
    """A CA and a certificate for 127.0.0.1, as docs/security.md tells to make them."""
    folder.mkdir()
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"ca {folder.name}")])

    def signed(name: x509.Name, public: ec.EllipticCurvePublicKey, is_ca: bool) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(public)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return builder.add_extension(alternative, critical=False).sign(ca_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    (folder / "ca.crt").write_bytes(signed(ca_name, ca_key.public_key(), True).public_bytes(pem))
    (folder / "redis.crt").write_bytes(signed(own, key.public_key(), False).public_bytes(pem))
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    (folder / "redis.key").write_bytes(private)


def test_every_variable_that_deploy_sets_is_one_that_the_settings_read(tmp_path: Path) -> None:
    """A variable nobody reads is a misspelt one; a bad value in any of them must be noticed."""
    names, question = set(), set()
    for path in [*DEPLOY.glob("*.example"), DEPLOY / "compose.yml"]:
        names |= set(re.findall(r"\b((?:TRAINWISE|SLACK)_[A-Z_]+)(?==|:)", path.read_text()))

    class Recorder(dict):
        def get(self, key: str, default: object = None) -> object:
            question.add(key)
            return super().get(key, default)

    load_settings(Recorder({"TRAINWISE_HOME": str(tmp_path)}))
    assert names
    assert names <= question


def test_the_compose_file_keeps_what_it_promises() -> None:
    """Durable Redis, secrets by file only, no Slack token near a worker, tini in the image, room to drain."""
    compose = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    services = compose["services"]
    assert set(services) == {"bot", "worker", "serve", "redis", "postgres", "chroma"}
    assert all(port.startswith("127.0.0.1:") for port in services["serve"]["ports"])
    assert not [name for name in services["worker"]["secrets"] if "slack" in name]
    for service in services.values():
        for value in (service.get("environment") or {}).values():
            assert "xoxb" not in str(value)
            assert "://" not in str(value) or "@" not in str(value)
    conf = (DEPLOY / "redis" / "redis.conf").read_text()
    assert "appendonly yes" in conf
    assert "noeviction" in conf
    docker = (DEPLOY / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["tini", "--", "trainwise"]' in docker
    root = DEPLOY.parent
    sources = [word for line in re.findall(r"^COPY (.+)$", docker, re.M) for word in line.split()[:-1]]
    assert [name for name in sources if not (root / name).exists()] == []
    assert (
        "\nARG PART=ask\n" in docker
    )  # the bot's image has what answers questions, unless more is asked for
    parts = {
        name: service["build"]["args"]["PART"] for name, service in services.items() if "build" in service
    }
    assert parts == {"bot": "${PART:-ask}", "worker": "worker"}
    assert all((DEPLOY / f"{part}.lock").is_file() for part in ("ask", "bot", "worker", "ray"))
    for unit in (DEPLOY / "systemd").iterdir():
        text = unit.read_text()
        assert "Restart=always" in text
        assert int(re.search(r"TimeoutStopSec=(\d+)", text)[1]) >= 40  # type: ignore[index]


def tool(name: str) -> str:
    """A checker of the extra `dev`, beside this Python or on the PATH."""
    path = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return path or str(pytest.skip(f"{name} is not installed: pip install -e '.[dev]' on Linux"))


@pytest.mark.integration
def test_a_linter_has_nothing_against_the_image() -> None:
    """hadolint, its shell checks included, down to what it only suggests."""
    argv = [tool("hadolint"), "--no-color", "--failure-threshold", "style", str(DEPLOY / "Dockerfile")]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.integration
def test_docker_compose_reads_its_file_as_it_is_meant() -> None:
    """Docker Compose's own reader, which needs no daemon: valid, and bot and worker are built of their parts."""
    argv = [tool("docker-compose"), "-f", str(DEPLOY / "compose.yml"), "config", "--format", "json"]
    env = {name: value for name, value in os.environ.items() if name != "PART"}
    result = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    services = json.loads(result.stdout)["services"]
    assert result.stderr == ""
    assert services["bot"]["build"]["args"] == {"PART": "ask"}
    assert services["worker"]["build"]["args"] == {"PART": "worker"}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert {mount["target"] for mount in services["bot"]["volumes"]} == {"/var/lib/trainwise", "/tls/ca.crt"}
