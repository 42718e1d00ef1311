"""The key of one run, shared by the bot and the container, which authenticates what the container writes.

Others may have write access to the bucket. HMAC-SHA256 over the run's tag, the object's path and its text
lets the bot tell the container's words from theirs, and those of this run from those of another.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.platforms.contract import PlatformError
from finetune.platforms.plain_json import plain_object

SHORTEST = 32
PROOF, TEXT = "hmac_sha256", "text"


class CorruptResult(PlatformError):
    """The files that came back are not those of the manifest."""


class Forgery(CorruptResult):
    """An object without a valid HMAC of this run's key: its container did not write it."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} does not bear this run's signature: someone else may write in its place. Nothing of it was "
            "taken; see who may write there, then launch it again."
        )


@dataclass(frozen=True)
class RunKey:
    """The secret of the run `tag`; one that is missing proves nothing and opens nothing."""

    tag: str
    secret: str = field(repr=False)

    def seal(self, path: str, value: Mapping[str, Any]) -> bytes:
        """`value` as JSON text with its proof, as it is written to `path` below the tag."""
        if len(self.secret) < SHORTEST:
            raise PlatformError(
                "This run has no key: start it through the bot, whose image is as old as this."
            )
        text = json.dumps(value, allow_nan=False)
        return json.dumps({PROOF: self._proof(path, text), TEXT: text}).encode()

    def unseal(self, path: str, data: bytes) -> dict[str, Any]:
        """The JSON object that this run's container wrote to `path`; Forgery for anything else."""
        try:
            outer = json.loads(data)
            text, proof = str(outer[TEXT]), str(outer[PROOF])
            is_genuine = hmac.compare_digest(proof.encode(), self._proof(path, text).encode())
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Forgery(path) from error
        if len(self.secret) < SHORTEST or not is_genuine:
            raise Forgery(path)
        value = plain_object(text.encode())
        if value is None:
            raise Forgery(path)
        return value

    def _proof(self, path: str, text: str) -> str:
        message = "\n".join((self.tag, path, text)).encode()
        return hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest()
