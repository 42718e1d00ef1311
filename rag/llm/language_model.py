"""The adviser's language model: limits the calls of one question to a time that fits the server's measured pace.

`LanguageModel(...).budget()` is the allowance of one question. Whatever goes wrong - no answer in time, a wrong
key, 429, 5xx, a content filter, nonsense - is one LanguageModelError whose text is safe to show.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass

from rag.llm.client import ChatClient, Progress
from rag.llm.dialect import Dialect, Form, Message, Way
from rag.llm.failures import (
    LanguageModelError,
    Remedy,
    is_down,
    is_refusal,
    refusal_text,
    remedy,
    status,
    why,
)
from rag.llm.qualification import MAX_TOKENS, MIN_RIGHT, STATEMENTS, Qualification, qualification_request
from rag.llm.structured_output import Completion, ShapeT, Unreadable, read_shape

ALIVE_S = 0.25
MIN_CALL_S = 0.5  # no call starts with less time left
FAILURES_BEFORE_REST, REST_S = 3, 30.0  # questions in a row without an answer; then the model is paused
MAX_ATTEMPTS = 8  # calls for one answer, over all ways and options
MAX_PATIENCE_S = 120.0  # for one question at a server that was measured to be slow
PACE_MARGIN = 1.5  # factor on the expected time of a slow server
QUESTION_CHARACTERS = 16_000  # of both prompts of a question, roughly
QUESTION_PIECES = 450  # tokens of both answers, roughly
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How fast a server is: seconds per character of a prompt before the first piece, seconds per piece after it."""

    per_character_s: float
    per_piece_s: float

    def question_s(self) -> float:
        """Seconds that one question is expected to take, both calls together."""
        return self.per_character_s * QUESTION_CHARACTERS + self.per_piece_s * QUESTION_PIECES

    @classmethod
    def of_call(cls, characters: int, began: float, end: float, progress: Progress) -> Pace:
        """The pace of one complete call; for a reply in one piece, writing time counts as reading time."""
        first = progress.first_piece_at or end
        return cls((first - began) / max(1, characters), (end - first) / max(1, progress.pieces - 1))


class LanguageModel:
    """An OpenAI-compatible model with `budget_s` seconds of patience per question; safe for several threads.

    Remembers the server's dialect and pace; a server measured as slow gets more time, up to MAX_PATIENCE_S.
    """

    def __init__(
        self, client: ChatClient, budget_s: float = 12.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.client, self.budget_s, self.clock = client, budget_s, clock
        self.dialect = Dialect.of(client.base_url)
        self.pace: Pace | None = None
        self.right: int | None = None  # statements that the model judged right; None: not tested yet
        self._failures, self._rests_until = 0, 0.0
        self._last: LanguageModelError | None = None

    @property
    def patience_s(self) -> float:
        """Seconds for one question: the budget, or what the measured pace asks for."""
        if self.pace is None:
            return self.budget_s
        return max(self.budget_s, min(MAX_PATIENCE_S, PACE_MARGIN * self.pace.question_s()))

    def budget(self, on_wait: Callable[[int], None] = lambda characters: None) -> CallBudget:
        """The time budget for one question, from now; while the model is paused it has already failed.

        Calls `on_wait` during the wait with the characters written so far; an exception from it ends
        the wait (a person pressed Stop).
        """
        return CallBudget(self, on_wait, self._last if self.clock() < self._rests_until else None)

    def probe(self) -> Way:
        """The way of structured output that works, after the test of `qualification`; LanguageModelError if none
        does or the model fails it."""
        self.right = None
        self.budget().qualify()
        return self.dialect.ways[0]

    def note_failure(self, failure: LanguageModelError) -> None:
        """Counts a failure, so that a server that is down delays a few questions and not all."""
        if not failure.server_down:
            self._failures = 0
            return
        self._failures, self._last = self._failures + 1, failure
        if self._failures >= FAILURES_BEFORE_REST:
            self._rests_until = self.clock() + REST_S

    def note_success(self) -> None:
        """The server answers again."""
        self._failures = 0


class CallBudget:
    """The calls of one question. After the first failure, further calls fail at once with the same reason."""

    def __init__(
        self, model: LanguageModel, on_wait: Callable[[int], None], failure: LanguageModelError | None = None
    ) -> None:
        self._model, self._alive, self.failure = model, on_wait, failure
        self._began = model.clock()

    @property
    def left_s(self) -> float:
        """Seconds left of the patience."""
        return max(0.0, self._began + self._model.patience_s - self._model.clock())

    def ask(
        self, shape: type[ShapeT], messages: Sequence[Message], max_tokens: int, share: float = 1.0
    ) -> ShapeT:
        """The model's answer in the given shape, within `share` of the time left; LanguageModelError otherwise.

        The first call to a server is short: it finds the way, measures the pace and tests the model.
        """
        self.qualify()
        return self._run(shape, messages, max_tokens, self.left_s * share)

    def qualify(self) -> None:
        """Tests the model before its first answer; LanguageModelError where it fails, now and until a new probe."""
        if self.failure is not None:
            raise self.failure
        if self._model.right is None:
            test = self._run(Qualification, qualification_request(), MAX_TOKENS, self.left_s)
            self._model.right = test.right()
        if self._model.right < MIN_RIGHT:
            score = f"{self._model.right} of {len(STATEMENTS)}"
            self.failure = LanguageModelError(
                f"judged only {score} plain statements right when it was tested", "TRAINWISE_CHAT_MODEL"
            )
            raise self.failure

    def _run(
        self, shape: type[ShapeT], messages: Sequence[Message], max_tokens: int, seconds: float
    ) -> ShapeT:
        try:
            answer = _Attempts(self._model, self._alive).run(shape, messages, max_tokens, seconds)
        except LanguageModelError as failure:
            self.failure = failure
            self._model.note_failure(failure)
            raise
        self._model.note_success()
        return answer


class _Attempts:
    """The calls for one answer: each way in turn, without refused options, the plainest last."""

    def __init__(self, model: LanguageModel, on_wait: Callable[[int], None]) -> None:
        self._model, self._alive = model, on_wait
        self._dialect = model.dialect
        self._ways = list(self._dialect.ways)
        self._refused_outright = False

    def run(
        self, shape: type[ShapeT], messages: Sequence[Message], max_tokens: int, seconds: float
    ) -> ShapeT:
        until = self._model.clock() + seconds
        last: Exception = TimeoutError()
        for number in range(MAX_ATTEMPTS):
            left = until - self._model.clock()
            if left < MIN_CALL_S or not self._ways:
                break
            call = self._call(shape.form(), messages, max_tokens, left, retries=int(number == 0))
            try:
                answer = self._read(shape, call.result())
            except Exception as error:  # any error of a foreign server becomes a sentence
                last = error
                if not self._adapt(error):
                    break
            else:
                if answer is not None:
                    self._model.dialect = self._dialect.preferring(self._ways[0])
                    return answer
        log.info("the language model failed: %s (status %s)", type(last).__name__, status(last))
        raise LanguageModelError(*why(last), server_down=is_down(last)) from None

    def _read(self, shape: type[ShapeT], completion: Completion) -> ShapeT | None:
        """The answer; None where the model's thinking exceeded the limit, so that one retry with more tokens follows."""
        try:
            return read_shape(shape, completion)
        except Unreadable:
            if completion.finish_reason == "length" and self._dialect.token_factor == 1:
                self._dialect = self._dialect.longer()
                return None
            raise

    def _adapt(self, error: Exception) -> bool:
        """Adapts the next attempt; returns whether there is one."""
        if options := self._dialect.named_in(refusal_text(error)):
            self._dialect = self._dialect.without(options)
            return True
        if remedy(error) is Remedy.GIVE_UP:
            return False
        self._refused_outright = self._refused_outright or is_refusal(error)
        self._ways.pop(0)
        if not self._ways and self._refused_outright and self._dialect.system_role:
            self._dialect = self._dialect.plainest()
            self._ways = list(self._dialect.ways)
        return bool(self._ways)

    def _call(
        self, form: Form, messages: Sequence[Message], max_tokens: int, seconds: float, retries: int
    ) -> Future[Completion]:
        """Runs one call in a thread, so that a slow stream cannot block us; the text at the deadline
        counts as an answer. An exception from `on_wait` goes to the caller."""
        model = self._model
        progress, result, clock = Progress(model.clock), Future[Completion](), model.clock
        request = self._dialect.request(self._ways[0], form, messages, max_tokens)
        began = clock()

        def run() -> None:
            try:
                completion = model.client.complete(request, progress, MAX_PATIENCE_S, retries)
                characters = sum(len(text) for _, text in messages)
                model.pace = Pace.of_call(characters, began, clock(), progress)
                result.set_result(completion)
            except BaseException as error:
                result.set_exception(error)

        threading.Thread(target=run, daemon=True, name="language-model").start()
        try:
            while not wait([result], timeout=min(ALIVE_S, max(0.0, began + seconds - clock()))).done:
                self._alive(sum(map(len, progress.content)))
                if clock() >= began + seconds:
                    return _at_deadline(progress)
        except BaseException:
            progress.cancellation.set()
            raise
        return result


def _at_deadline(progress: Progress) -> Future[Completion]:
    """The text so far; TimeoutError if there is none.

    A call without output continues, so that a server that still loads its model shows its pace for
    the next question.
    """
    late = Future[Completion]()
    completion = progress.completion("deadline")
    if completion.content or completion.arguments:
        progress.cancellation.set()
        late.set_result(completion)
    else:
        late.set_exception(TimeoutError())
    return late
