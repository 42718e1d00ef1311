"""The registry of training methods: a file in this folder with a `METHOD` is one, and nothing else has to change.

Importing it loads neither torch nor scikit-learn nor peft: a method imports those where it uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from finetune.catalog import Architecture
from finetune.errors import CorruptModel
from finetune.registry import entries_of

if TYPE_CHECKING:
    import numpy as np

    from finetune.progress import Progress
    from finetune.spec import Spec

MERGED = "full"  # the form of a merged adapter: plain weights


class LabelledTexts(Protocol):
    """Texts to learn from, with their class numbers, row by row."""

    @property
    def texts(self) -> list[str]: ...
    @property
    def labels(self) -> np.ndarray: ...


class LabelledRows(LabelledTexts, Protocol):
    """Rows to learn from: texts, class numbers and frozen embeddings, row by row."""

    @property
    def embeddings(self) -> np.ndarray: ...


class Classifier(Protocol):
    """A model that sorts texts into `classes` and can be saved."""

    classes: tuple[str, ...]

    def probabilities(self, texts: Sequence[str], check: Callable[[], None] = ...) -> np.ndarray:
        """(texts, classes) float32, each row sums to one."""
        ...

    def save(self, folder: Path, method: str, title: str) -> None:
        """Write the model into `folder`, its card (artifacts.CARD) with the method's name and title last."""
        ...


@dataclass(frozen=True)
class Solution:
    """What a solver came to: the model, its seconds, the settings that it chose and why.

    `dev_probabilities` are those of the model before it was refitted on the validation rows.
    """

    model: Any
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)
    dev_probabilities: np.ndarray | None = None


@dataclass(frozen=True)
class Network:
    """A method that trains a network step by step: how it is built, adapted and loaded again.

    `build(spec, architecture, texts)` gives (model, tokenizer), `adapt(model, spec, architecture)` the model with
    the weights to train unfrozen, `load(folder, base_model, architecture)` the saved one.
    """

    build: Callable[[Spec, Architecture, Sequence[str]], tuple[Any, Any]]
    adapt: Callable[[Any, Spec, Architecture], Any]
    load: Callable[[Path, str, Architecture], Any]


@dataclass(frozen=True)
class Solver:
    """A method that sorts texts and is solved in one go, without steps or epochs.

    `fit(train, dev, classes, embedder, progress)`; `load(folder, card)` reads what `Classifier.save` wrote.
    """

    fit: Callable[[LabelledRows, LabelledRows, tuple[str, ...], Any, Progress], Solution]
    load: Callable[[Path, dict[str, Any]], Classifier]


def _no_conflicts(spec: Spec) -> dict[str, str]:
    return {}


def _check_nothing() -> None:
    """Any machine will do."""


@dataclass(frozen=True)
class Method:
    """One way to train; exactly one of `network` and `solver` is set.

    `label` stands in forms, `title` in reports, `library` in the model card's head. `flops_per_token` is by weight of
    the base model and by token read once; `bytes_per_parameter` is memory while training: weights, gradients, optimiser.
    `mfu` names the row of the price table that says which share of a chip's peak is reached. `learning_rate` takes
    architecture and base model; `conflicts` gives a sentence by field; `check_machine` raises BaseModelError where this
    machine cannot run it. `is_baseline`: every report has it as a baseline anyway, cross-validated where rows are few.
    `is_pilot`: a measurement trains its pilot with it and prices a large model by it. `short_name` stands inside
    sentences, `hosted_rates` names the row of the price table with what hosts ask for it a million tokens.
    """

    name: str
    label: str
    title: str
    library: str
    flops_per_token: float
    bytes_per_parameter: float
    learning_rate: Callable[[Architecture, str], float]
    network: Network | None = None
    solver: Solver | None = None
    mfu: str = "full"
    adapter: bool = False
    pretrained: bool = True
    distributed: bool = True
    needs_gpu: bool = False
    is_baseline: bool = False
    is_pilot: bool = False
    short_name: str = ""
    hosted_rates: str = ""
    position: int = 100
    conflicts: Callable[[Spec], dict[str, str]] = _no_conflicts
    check_machine: Callable[[], None] = _check_nothing


def method_of(card: Mapping[str, Any]) -> Method:
    """The method that trained a saved model; CorruptModel where this version does not have it."""
    name = card["method"]
    if name not in METHODS:
        raise CorruptModel(
            f"This model was trained with the method `{name}`, which is not installed here: it knows {', '.join(METHODS)}."
        )
    return METHODS[name]


def network_of(name: str) -> Network:
    """How a method trains a network; ValueError for a method that is solved in one go."""
    network = METHODS[name].network
    if network is None:
        raise ValueError(f"The method {name} trains no network.")
    return network


METHODS: Mapping[str, Method] = {
    method.name: method
    for method in sorted(entries_of(__name__, "METHOD", Method), key=lambda method: method.position)
}
CHEAP = next(method for method in METHODS.values() if method.is_baseline)
"""The method that every report has as its baseline."""
PILOT = next(method for method in METHODS.values() if method.is_pilot)
"""The method that a measurement trains its pilot with."""
