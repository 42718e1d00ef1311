"""What AWS's platforms share: the key, and what an error answer of boto3's client means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from finetune.platforms.answers import DEFAULT_RETRY_S, Missing, refusal
from finetune.platforms.contract import BadKey, NoAnswer, NotMade, PlatformError, Variable
from finetune.wires.bedrock import key_of

TIMEOUT_S = 30.0
KEYS = (
    Variable("AWS_ACCESS_KEY_ID", "Key id for AWS; empty: as AWS clients look for it."),
    Variable("AWS_SECRET_ACCESS_KEY", "Secret key for AWS.", secret=True),
)
BUSY = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown"})
NO_ACCESS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "ExpiredTokenException",
    }
)
MISSING = frozenset({"ResourceNotFound", "ResourceNotFoundException", "NoSuchKey"})
TAKEN = frozenset({"ResourceInUse", "ResourceInUseException", "ConflictException"})


class InUse(NotMade):
    """The name is taken, or what is to go is still in use."""


def key_in(values: Mapping[str, str]) -> str:
    """The key of the settings as one text; "" where the client is to look for one by itself."""
    return key_of(*(values.get(one.name) or "" for one in KEYS))


class WrongStatus(NotMade):
    """What was asked for does not fit the thing's status: it has ended, or is still being made."""


@contextmanager
def translate_errors(label: str) -> Iterator[None]:
    """Translates the client's errors into ours."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except ClientError as error:
        raise sort(label, error.response) from error
    except PlatformError:
        raise
    except (BotoCoreError, ResponseParserError, OSError, ValueError, KeyError, TypeError) as error:
        raise NoAnswer(f"{label} gave no answer that can be read ({type(error).__name__}).") from error


def sort(label: str, response: Mapping[str, Any]) -> PlatformError:
    """What an error answer of AWS means."""
    fault, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, text = str(fault.get("Code", "")), str(fault.get("Message", ""))
    status = int(meta.get("HTTPStatusCode", 500))
    if code in TAKEN:
        return InUse(text)
    if code in BUSY or status == 429:
        return NotMade(f"{label} asks to wait.", DEFAULT_RETRY_S)
    if code in NO_ACCESS:
        return BadKey(f"{label} refuses these credentials ({code}). Check the role and the key of the bot.")
    if code in MISSING or (code == "ValidationException" and "not found" in text.lower()):
        return Missing(text)
    if code == "ValidationException" and "status" in text.lower():
        return WrongStatus(text)
    return refusal(label, status, f"{code}: {text}" if text else code)
