"""Signatures: the bot signs orders, each worker signs its events; both with Ed25519.

A worker holds the bot's public key only, so a stolen worker cannot create orders. The bot holds each worker's
public key in `workers/`; an unknown key's reports are ignored. Private keys are files with mode 0600.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.errors import WorkerError
from worker.jobs.records import rq_id
from worker.teams import is_team

PREFIX = "trainwise-ed25519 "


@dataclass(frozen=True)
class PublicKey:
    """A key that can check signatures; `id` is its fingerprint."""

    id: str
    raw: Ed25519PublicKey

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the holder of the private key signed exactly `message`."""
        try:
            self.raw.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """A signing key; its repr shows no secret."""

    public: PublicKey
    raw: Ed25519PrivateKey

    def sign(self, message: bytes) -> bytes:
        """64 bytes that prove this key saw `message`."""
        return self.raw.sign(message)

    def run_secret(self, tag: str) -> str:
        """The key of the run `tag`, always the same: made of this one (HKDF-SHA256), so that nobody has to keep it."""
        maker = HKDF(hashes.SHA256(), 32, salt=None, info=b"trainwise run key\n" + tag.encode())
        return maker.derive(self.raw.private_bytes_raw()).hex()

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.id})"


def bot_key(folder: Path) -> PrivateKey:
    """The bot's signing key in `folder` (bot.key, made on first use; bot.pub beside it for the workers)."""
    return _own_key(folder, "bot")


def worker_key(folder: Path) -> PrivateKey:
    """This machine's worker key in `folder` (worker.key, made on first use; worker.pub to show the bot)."""
    return _own_key(folder, "worker")


def bot_public(folder: Path) -> PublicKey:
    """The bot's public key as a worker has it; WorkerError says how to get it."""
    path = folder / "bot.pub"
    try:
        return parse_public(path.read_text())
    except FileNotFoundError:
        raise WorkerError(
            f"{path} is missing: copy keys/bot.pub from the bot's TRAINWISE_HOME to this machine."
        ) from None


def trust_worker(folder: Path, text: str) -> PublicKey:
    """Trusts a worker: the bot accepts events signed with this public key (a line of worker.pub)."""
    key = parse_public(text)
    workers = folder / "workers"
    workers.mkdir(parents=True, exist_ok=True, mode=0o700)
    (workers / f"{key.id}.pub").write_text(PREFIX + encode(key.raw.public_bytes_raw()) + "\n")
    return key


def trusted_workers(folder: Path) -> Mapping[str, PublicKey]:
    """The trusted workers' keys, by key id."""
    keys = [parse_public(path.read_text()) for path in sorted((folder / "workers").glob("*.pub"))]
    return {key.id: key for key in keys}


def pair_locally(folder: Path) -> None:
    """Creates both keys in one folder and makes them trust each other, for bot and worker on one machine."""
    bot_key(folder)
    worker_key(folder)
    trust_worker(folder, (folder / "worker.pub").read_text())


def parse_public(text: str) -> PublicKey:
    """A public key from the one line of a .pub file, or WorkerError."""
    if not text.startswith(PREFIX):
        raise WorkerError(f"This is no Trainwise public key; it starts with '{PREFIX.strip()}'.")
    try:
        raw = base64.b64decode(text[len(PREFIX) :].strip(), validate=True)
        return _public(Ed25519PublicKey.from_public_bytes(raw))
    except ValueError as e:
        raise WorkerError("This public key is damaged; copy the whole line of the .pub file.") from e


def _own_key(folder: Path, name: str) -> PrivateKey:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.key"
    if not path.exists():
        _write_new(path, Ed25519PrivateKey.generate())
    if path.stat().st_mode & 0o077:
        raise WorkerError(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        raw = Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text(), validate=True))
    except ValueError as e:
        raise WorkerError(f"{path} is damaged; restore it, or delete it to have a new one made.") from e
    key = PrivateKey(_public(raw.public_key()), raw)
    line = PREFIX + encode(raw.public_key().public_bytes_raw()) + "\n"
    public = folder / f"{name}.pub"
    if not public.exists() or public.read_text() != line:
        public.write_text(line)
    return key


def _write_new(path: Path, key: Ed25519PrivateKey) -> None:
    """Writes the key under a name of its own first: two first starts at once end with one key."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(encode(key.private_bytes_raw()))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the other one was first: its key counts
    finally:
        draft.unlink()


def _public(raw: Ed25519PublicKey) -> PublicKey:
    return PublicKey(hashlib.sha256(raw.public_bytes_raw()).hexdigest()[:16], raw)


def encode(raw: bytes) -> str:
    """The bytes of a key as text."""
    return base64.b64encode(raw).decode()


FUNCTION = "worker.run.run_attempt"
"""The one function that can be asked for; it is named, never imported from the message."""

MAGIC = b"tw1\n"
SIGNATURE_BYTES = 64
LIMIT_BYTES = 256 * 1024


class Refusal(WorkerError):
    """A message that is not a valid order of our bot; it was not run."""


@dataclass(frozen=True)
class Envelope:
    """An order's content: ids, the validated recipe, and limits. No token, no address.

    `team` names the stores that the job works in (worker/teams.py); empty in a bot with one team.
    """

    job: str
    attempt: int
    fence: str
    root: str
    kind: str
    spec: dict[str, Any]
    dataset: str
    expires: float
    timeout_s: int
    spent_usd: float
    budget_usd: float | None
    team: str = ""

    @property
    def rq_id(self) -> str:
        """The only RQ job id under which this order may run."""
        return rq_id(self.job, self.attempt)


def seal(message: Mapping[str, Any], key: PrivateKey) -> bytes:
    """`message` as signed JSON: magic, signature, body."""
    body = json.dumps(message, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return MAGIC + key.sign(MAGIC + body) + body


def unseal(data: bytes, key: PublicKey) -> dict[str, Any]:
    """The message inside; Refusal when the signature does not match."""
    if len(data) > LIMIT_BYTES or not data.startswith(MAGIC):
        raise Refusal("not a signed message of this bot")
    signature = data[len(MAGIC) : len(MAGIC) + SIGNATURE_BYTES]
    body = data[len(MAGIC) + SIGNATURE_BYTES :]
    if not key.verifies(signature, MAGIC + body):
        raise Refusal("the signature does not fit")
    message = json.loads(body)
    if not isinstance(message, dict):
        raise Refusal("not a message")
    return message


def order(envelope: Envelope) -> dict[str, Any]:
    """The envelope as the message that is signed."""
    values = asdict(envelope)
    if not envelope.team:
        del values["team"]
    return {"call": FUNCTION, "envelope": values}


def read_order(message: Mapping[str, Any], rq_job_id: str, now: float) -> Envelope:
    """The envelope of a verified message, if it is for this RQ job and still valid; else Refusal."""
    if message.get("call") != FUNCTION:
        raise Refusal("the function asked for is not on the list")
    values = message.get("envelope")
    if not isinstance(values, dict) or {*values, "team"} != {field.name for field in fields(Envelope)}:
        raise Refusal("the order's fields are not as expected; bot and worker must run the same version")
    envelope = Envelope(**values)
    if not is_team(envelope.team):
        raise Refusal("the order names no team")
    if envelope.rq_id != rq_job_id:
        raise Refusal("the order was signed for another job")
    if now > envelope.expires:
        raise Refusal("the order has expired")
    return envelope


@dataclass(frozen=True)
class RemoteOrder:
    """What a container on a platform is told: the envelope, its tag, and the prices that it counts with.

    `choosing`: held-out rows stayed at home, and the last so many of those that came choose; None: all rows came.
    """

    tag: str
    envelope: Envelope
    price_per_hour: float
    prices: dict[str, Any]
    choosing: int | None = None


def read_remote_order(data: bytes, key: PublicKey, tag: str, now: float) -> RemoteOrder:
    """The order in `data`, if this bot signed it for this very submission and it is still valid; else Refusal."""
    message = unseal(data, key)
    if message.get("remote") != tag:
        raise Refusal("the order was signed for another submission")
    values = message.get("envelope")
    job, attempt = (values or {}).get("job"), (values or {}).get("attempt")
    envelope = read_order(message, rq_id(str(job), int(attempt or 0)), now)
    price, choosing = float(message["price_per_hour"]), message.get("choosing")
    last = None if choosing is None else int(choosing)
    return RemoteOrder(tag, envelope, price, dict(message["prices"]), last)
