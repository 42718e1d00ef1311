"""Classifies failures of a language model as one error whose text is safe to show."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from rag.errors import RagError
from rag.llm.client import ContentFilterRefusal, RefusedInBody
from rag.llm.structured_output import Unreadable


class LanguageModelError(RagError):
    """The language model gave nothing usable: `reason`, and the setting to check (`check`), if there is one."""

    def __init__(self, reason: str, check: str = "", server_down: bool = False) -> None:
        hint = f" An admin should check {check} (`trainwise doctor` tests it)." if check else ""
        super().__init__(f"The language model {reason}, so this is the embedded answer.{hint}")
        self.reason, self.check, self.server_down = reason, check, server_down


class Remedy(Enum):
    """What to do after a failed call."""

    OTHER_WAY = auto()  # ask in another way of structured output
    GIVE_UP = auto()  # another way would not help


FINAL_STATUS = frozenset({401, 402, 429})  # the key, the bill and the rate do not depend on the way


def remedy(error: Exception) -> Remedy:
    """Another way after any refusal (4xx or 5xx) or unreadable answer; otherwise gives up."""
    if is_filtered(error):
        return Remedy.GIVE_UP
    if isinstance(error, Unreadable | RefusedInBody):
        return Remedy.OTHER_WAY
    code = status(error)
    return Remedy.OTHER_WAY if code and code >= 400 and code not in FINAL_STATUS else Remedy.GIVE_UP


def is_refusal(error: Exception) -> bool:
    """Whether the server refused the request itself, so that a plainer one may be accepted."""
    return isinstance(error, RefusedInBody) or (status(error) is not None and not is_filtered(error))


def refusal_text(error: Exception) -> str:
    """The server's error text, to find the names of our options in it; never shown to anybody."""
    if isinstance(error, RefusedInBody):
        return error.body
    if status(error) not in (400, 422):
        return ""
    return f"{getattr(error, 'param', None)} {getattr(error, 'body', None)}"


def status(error: Exception) -> int | None:
    """The HTTP status of a refusal, if it was one."""
    code = getattr(error, "status_code", None)
    return code if isinstance(code, int) else None


def is_filtered(error: Exception) -> bool:
    """Whether the server or the model declined for what the text is about."""
    return isinstance(error, ContentFilterRefusal) or getattr(error, "code", None) == "content_filter"


def is_down(error: Exception) -> bool:
    """Whether the next question would most likely fail too: no answer, no access, no server."""
    import openai

    kinds = (openai.APIConnectionError, openai.AuthenticationError, openai.InternalServerError)
    return isinstance(error, (TimeoutError, ConnectionError, *kinds))


def why(error: Exception) -> tuple[str, str]:
    """The reason in our own words, without the error's text, and the setting to check."""
    import openai

    if is_filtered(error):
        return "declined to work on this question", ""
    kinds: tuple[tuple[Any, str, str], ...] = (
        ((openai.AuthenticationError, openai.PermissionDeniedError), "refused our key", "OPENAI_API_KEY"),
        (openai.NotFoundError, "does not exist at its server", "TRAINWISE_CHAT_MODEL and OPENAI_BASE_URL"),
        (openai.RateLimitError, "has no capacity for us right now (rate limit or quota)", ""),
        ((TimeoutError, openai.APITimeoutError), "did not answer in time", ""),
        ((ConnectionError, openai.APIConnectionError), "cannot be reached", "OPENAI_BASE_URL"),
        (openai.InternalServerError, "had an error of its own", ""),
    )
    for kind, reason, check in kinds:
        if isinstance(error, kind):
            return reason, check
    return "gave an answer that cannot be used", ""
