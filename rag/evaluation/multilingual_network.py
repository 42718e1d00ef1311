"""The network over the multilingual encoder's tokens in torch: the same as rag/signals/multilingual_tokens.py, to be trained.

A projection, one block of self-attention, an attention over the tokens for each label beside a linear head over the whole
message. Needs the train extra; 20 CPU-seconds a pass over 7,600 messages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from rag.evaluation.messages import KINDS, LabelledMessage
from rag.evaluation.network_training import Course, fit_network
from rag.evaluation.reader_network import Encoded
from rag.evaluation.train_reader import LABELS, reading_loss
from rag.signals.multilingual import TOKEN_DIM
from rag.signals.multilingual_tokens import BLOCK_HEADS, MAX_TOKENS

WIDTH, DROPOUT = 256, 0.2
EPOCHS, BATCH, LEARNING_RATE = 4, 32, 1e-4  # ten times that for all that is no packaged layer


class TokenNetwork(nn.Module):
    """(batch, length, 1280), its mask and the feature rows -> label logits (batch, labels), kind logits per token."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project, self.norm = nn.Linear(TOKEN_DIM, WIDTH), nn.LayerNorm(WIDTH)
        self.place, self.drop = nn.Embedding(MAX_TOKENS, WIDTH), nn.Dropout(DROPOUT)
        self.block = nn.TransformerEncoderLayer(
            WIDTH, BLOCK_HEADS, 2 * WIDTH, DROPOUT, batch_first=True, norm_first=True
        )
        self.attention = nn.Linear(WIDTH, LABELS, bias=False)
        self.evidence = nn.Linear(WIDTH, LABELS, bias=False)
        self.whole = nn.Linear(features, LABELS)
        self.kind = nn.Linear(WIDTH, len(KINDS))
        nn.init.normal_(self.place.weight, std=0.02)
        nn.init.zeros_(self.attention.weight)
        nn.init.zeros_(self.whole.weight)

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Sum of each label's evidence over its attention, plus what the whole message says."""
        states = self.drop(self.norm(self.project(tokens)) + self.place.weight[: tokens.shape[1]])
        states = self.block(states, src_key_padding_mask=mask == 0)
        shares = torch.softmax(self.attention(states).masked_fill(mask[:, :, None] == 0, -1e9), dim=1)
        return (shares * self.evidence(states)).sum(dim=1) + self.whole(features), self.kind(states)


def train_tokens(
    messages: Sequence[LabelledMessage], texts: Sequence[Encoded], features: np.ndarray, seed: int = 7
) -> TokenNetwork:
    """The network after EPOCHS passes; the same seed and data give the same weights on one machine.

    `texts` are the encoder's tokens, `features` (messages, width) the feature rows.
    """
    torch.manual_seed(seed)
    network = TokenNetwork(features.shape[1])
    loss = reading_loss(messages, texts)
    return fit_network(network, texts, loss, Course(EPOCHS, BATCH, seed, LEARNING_RATE), features)


def token_arrays(network: TokenNetwork) -> dict[str, np.ndarray]:
    """The weights under the names of rag/signals/multilingual_tokens.py."""
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}
