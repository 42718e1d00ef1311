"""Calls to Modal's client with a time limit, its errors translated into ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeVar

from finetune.platforms.answers import DEFAULT_RETRY_S, Missing
from finetune.platforms.contract import BadKey, NoAnswer, NotMade, PlatformError

LABEL = "Modal"
CALL_THREAD = "modal-call"
T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The call's answer; NoAnswer after `seconds`, as the client itself would wait for ever."""
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name=CALL_THREAD, daemon=True).start()
    with translate_errors():
        try:
            return answer.result(seconds)
        except TimeoutError as error:
            raise NoAnswer(f"{LABEL} did not answer within {seconds:g} s.") from error


class InUse(NotMade):
    """A running sandbox has this name: it is ours alone, so an earlier create was made."""


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translates the client's errors into ours."""
    from modal import exception

    try:
        yield
    except PlatformError:
        raise
    except (exception.AuthError, exception.PermissionDeniedError) as error:
        raise BadKey(
            f"{LABEL} refuses the token ({type(error).__name__}). Replace it where the bot runs."
        ) from error
    except exception.AlreadyExistsError as error:
        raise InUse(f"{LABEL} has a sandbox of this name.") from error
    except exception.NotFoundError as error:
        raise Missing(
            f"{LABEL} does not know it: {str(error)[:200]}. Check the names in its settings."
        ) from error
    except exception.ResourceExhaustedError as error:
        raise NotMade(f"{LABEL} asks to wait ({str(error)[:200]}).", DEFAULT_RETRY_S) from error
    except exception.ImageBuildError as error:
        raise NotMade(
            f"{LABEL} cannot copy our image: {str(error)[:300]}. Check TRAINWISE_IMAGE and who may pull it."
        ) from error
    except exception.ConflictError as error:  # it may have been made, and have ended already
        raise NoAnswer(f"{LABEL} has another state of it ({str(error)[:200]}).") from error
    except exception.InvalidError as error:
        raise NotMade(f"{LABEL} refuses the job: {str(error)[:300]}.") from error
    except (
        Exception
    ) as error:  # the client's many kinds, and what it breaks on in an answer: it may have been made
        raise NoAnswer(f"{LABEL} did not answer ({type(error).__name__}).") from error
