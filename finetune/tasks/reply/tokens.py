"""Ticket and answer as tokens: template, loss mask, and a loss with logits for answer tokens only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from finetune.errors import TrainingDataError
from finetune.training.checks import IGNORED

PLAIN = ("### Ticket\n", "\n\n### Answer\n")
PLACE = "\u2063ticket\u2063"  # stands for the ticket while the chat template is taken apart
STEP = 16  # sizes are rounded up to it: each new one costs a CPU a new kernel and leaves holes in its memory
LOGIT_CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling")


@dataclass(frozen=True)
class Template:
    """What stands before and after the ticket; the answer and the end token follow."""

    before: str
    after: str

    @classmethod
    def of(cls, tokenizer: Any) -> Template:
        """The tokenizer's own chat template, or plain headings where it has none."""
        if not getattr(tokenizer, "chat_template", None):
            return cls(*PLAIN)
        turn = [{"role": "user", "content": PLACE}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
        before, mark, after = text.partition(PLACE)
        if not mark:
            raise TrainingDataError(
                "The tokenizer's chat template drops the user's text: remove or repair it."
            )
        return cls(before, after)


@dataclass(frozen=True)
class Encoder:
    """Turns tickets and answers into token ids of at most `max_length`, end token included."""

    tokenizer: Any
    template: Template
    max_length: int

    def prompts(self, tickets: Sequence[str], room: int | Sequence[int]) -> list[list[int]]:
        """Token ids up to where the answer starts, leaving `room` (one for all, or one each).

        A long ticket loses its oldest words.
        """
        rooms = [room] * len(tickets) if isinstance(room, int) else room
        before, after = self.frame()
        fixed = len(before) + len(after)
        return [
            [*before, *ids[-max(self.max_length - space - fixed, 1) :], *after]
            for ids, space in zip(self._ids(tickets), rooms, strict=True)
        ]

    def frame(self) -> tuple[list[int], list[int]]:
        """The token ids before and after a ticket."""
        before, after = self._ids([self.template.before])[0], self._ids([self.template.after])[0]
        if self.tokenizer.bos_token_id is not None and before[:1] != [self.tokenizer.bos_token_id]:
            before = [self.tokenizer.bos_token_id, *before]
        return before, after

    def rows(self, tickets: Sequence[str], answers: Sequence[str]) -> list[dict[str, list[int]]]:
        """Training rows: `labels` repeat the answer's tokens and the end token, IGNORED elsewhere.

        Where both are long the answer gets half of `max_length`, the ticket what the answer leaves.
        """
        half = max(self.max_length // 2, 1)
        ends = [[*ids, self.tokenizer.eos_token_id] for ids in self._ids(answers)]
        rows = []
        for prompt, end in zip(self.prompts(tickets, [min(len(e), half) for e in ends]), ends, strict=True):
            room = max(self.max_length - len(prompt), 0)
            tail = end[:room]
            labels = [IGNORED] * len(prompt) + tail
            rows.append({"input_ids": [*prompt, *tail], "labels": labels})
        return rows

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []


def check_round_trip(rows: Sequence[dict[str, list[int]]], answers: Sequence[str], tokenizer: Any) -> None:
    """The tokens that the loss counts must read as the answer (or its start, where it was cut)."""
    for row, answer in zip(rows[:32], answers[:32], strict=False):
        tokens = [token for token in row["labels"] if token not in (IGNORED, tokenizer.eos_token_id)]
        read = "".join(tokenizer.decode(tokens).split())
        fits = "".join(answer.split()).startswith(read[: max(len(read) - 4, 1)])  # a cut may halve a letter
        if not fits and tokenizer.unk_token_id not in tokens:
            raise TrainingDataError(
                f"The loss would count {read[:60]!r} where the answer is {answer[:60]!r}: the tokenizer and its "
                "template do not fit each other. Choose another base model."
            )


class AnswerLoss(nn.Module):
    """A causal model whose loss is the mean over answer tokens, computing logits for no other position.

    Rows are padded on the right, so causal attention needs no mask. `num_items_in_batch` normalises over
    gradient accumulation.
    """

    def __init__(self, causal: Any) -> None:
        super().__init__()
        self.causal: Any = causal

    def forward(
        self,
        input_ids: torch.Tensor,
        labels: torch.Tensor,
        position_ids: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | None = None,
        **_: Any,
    ) -> dict[str, torch.Tensor]:
        target = labels[:, 1:]
        mask = target != IGNORED
        places = {} if position_ids is None else {"position_ids": position_ids}
        logits = self._logits(input_ids, mask, places)
        total = nn.functional.cross_entropy(logits.float(), target[mask], reduction="sum")
        items = mask.sum() if num_items_in_batch is None else num_items_in_batch
        return {"loss": total / torch.as_tensor(items, device=total.device).clamp(min=1)}

    def _logits(self, input_ids: torch.Tensor, mask: torch.Tensor, places: dict[str, Any]) -> torch.Tensor:
        plain: Any = self.causal.get_base_model() if hasattr(self.causal, "get_base_model") else self.causal
        if any(getattr(plain.config, name, None) for name in LOGIT_CHANGES):
            return self.causal(input_ids=input_ids, use_cache=False, **places).logits[:, :-1][mask]
        states = plain.base_model(input_ids=input_ids, use_cache=False, **places)[0][:, :-1]
        answer_states = states[mask]
        spare = -len(answer_states) % (4 * STEP)
        return plain.get_output_embeddings()(nn.functional.pad(answer_states, (0, 0, 0, spare)))[
            : len(answer_states)
        ]


def collate_padded(pad: int, multiple: int = STEP) -> Any:
    """Rows to tensors as long as the longest, up to the next `multiple`, padded on the right."""

    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        longest = -(-max(len(row["input_ids"]) for row in rows) // multiple) * multiple
        ids = torch.full((len(rows), longest), pad)
        labels = torch.full((len(rows), longest), IGNORED)
        for at, row in enumerate(rows):
            ids[at, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            labels[at, : len(row["labels"])] = torch.tensor(row["labels"])
        return {"input_ids": ids, "labels": labels}

    return collate


def collate_packed(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Rows end to end without padding; positions restart with each row, which keeps attention inside it.

    Pays on a GPU with a variable-length kernel; on a CPU it is slower than buckets (decisions).
    """
    ids = [token for row in rows for token in row["input_ids"]]
    labels = [token for row in rows for token in [IGNORED, *row["labels"][1:]]]
    places = [at for row in rows for at in range(len(row["input_ids"]))]
    return {
        "input_ids": torch.tensor([ids]),
        "labels": torch.tensor([labels]),
        "position_ids": torch.tensor([places]),
    }
