"""A tuned model that a platform hosts: where it answers, and what stands in its place in a job's folder.

There are no weights: the folder holds a card with the model's name at the platform, and each question goes there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from finetune.artifacts import write_whole
from finetune.errors import FinetuneError
from finetune.llm import Answers, AskLLM, Llm, SpendLimit, UnansweredError, ask_all, ask_once, asker
from finetune.progress import Progress

METHOD = "hosted"
"""What the card of such a model names as its method."""
ANSWERED = "hosted_answers.json"
TRIES = 3  # of a question that got no answer, before none of them counts
TIMEOUT_S = 60.0
ALLOWED_S = 1800.0  # for the answers to all held-out tickets


class MissingAnswers(FinetuneError):
    """The hosted model did not answer enough; a later try may work."""

    retryable = True


@dataclass(frozen=True)
class Endpoint:
    """Where a hosted model answers, in OpenAI's chat wire: `label` names the platform, dollars are a million tokens.

    `base_url` None: OpenAI's own address.
    """

    label: str
    model: str
    key: str = field(repr=False)
    base_url: str | None = None
    usd_in: float = 0.0
    usd_out: float = 0.0

    def ask(self) -> AskLLM:
        """One question, one answer."""
        return asker(self.model, self.key, self.base_url, TIMEOUT_S)

    def ask_once(self, question: str) -> str:
        """One answer; EndpointFailure says in a sentence what to change."""
        return ask_once(self.model, self.key, self.base_url, question, TIMEOUT_S).text

    def answers(
        self,
        questions: Sequence[str],
        answer_tokens: int,
        spend_usd: float,
        folder: Path,
        progress: Progress,
    ) -> Answers:
        """An answer a question, several at a time, kept in `folder` so that none is paid twice; MissingAnswers where time,
        money or the platform ends."""
        file = folder / ANSWERED
        if file.is_file():
            return Answers(**json.loads(file.read_text(encoding="utf-8")))
        texts: dict[int, str] = {}
        seconds = usd = 0.0
        for _ in range(TRIES):
            open_rows = [row for row in range(len(questions)) if row not in texts]
            round_answers = self._ask_all(
                [questions[row] for row in open_rows], answer_tokens, spend_usd - usd, progress
            )
            seconds, usd = seconds + round_answers.seconds, usd + round_answers.usd
            texts |= {
                row: text
                for row, text in zip(open_rows, round_answers.texts, strict=True)
                if text is not None
            }
            if len(texts) == len(questions):
                answers = Answers([texts[row] for row in range(len(questions))], seconds, usd)
                write_whole(file, json.dumps(asdict(answers)))
                return answers
        missing = len(questions) - len(texts)
        raise MissingAnswers(
            f"{self.model} at {self.label} left {missing} of {len(questions)} held-out tickets unanswered."
        )

    def _ask_all(
        self, questions: Sequence[str], answer_tokens: int, spend_usd: float, progress: Progress
    ) -> Answers:
        prices = {"api_per_million": {self.model: {"in": self.usd_in, "out": self.usd_out}}}
        llm = Llm(self.ask(), self.model, spend_usd, prices)
        try:
            return ask_all(llm, questions, answer_tokens, SpendLimit(llm), progress, ALLOWED_S)
        except UnansweredError as error:
            raise MissingAnswers(f"{self.model} at {self.label} could not be measured: {error}") from error


FindEndpoint = Callable[[Mapping[str, Any]], Endpoint]
"""The endpoint for a hosted model's card; FinetuneError says what to set where this machine has none."""


def is_hosted(card: Mapping[str, Any]) -> bool:
    """Whether a saved model's card stands for one that a platform hosts."""
    return card.get("method") == METHOD


def no_endpoint(card: Mapping[str, Any]) -> NoReturn:
    """No platform is connected on this machine."""
    raise FinetuneError(
        f"The model {card.get('hosted_model')} is hosted by the platform {card.get('platform')}, which is not connected on "
        "this machine: give it the same settings as the bot (docs/platforms.md has the steps)."
    )


def refuse_hosted(card: Mapping[str, Any], what: str) -> None:
    """FinetuneError for a hosted model where files are needed; `what` continues "so it cannot be ..."."""
    if is_hosted(card):
        raise FinetuneError(
            f"{card.get('hosted_model')} is hosted by {card.get('label') or card.get('platform')} and its weights are not to be "
            f"had, so it cannot be {what} here. Ask it there by this name, or train on a machine that gives weights."
        )


def card_of(endpoint: Endpoint, platform: str, base_model: str, task: str, **more: Any) -> dict[str, Any]:
    """The card that stands for a hosted model in its job's folder."""
    names = {"task": task, "method": METHOD, "base_model": base_model, "hosted_model": endpoint.model}
    return {**names, "platform": platform, "label": endpoint.label, **more}
