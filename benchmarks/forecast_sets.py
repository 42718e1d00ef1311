"""Classification sets for benchmarks/forecast.py: real text at hand plus sets with a known ceiling.

Each set is `(texts or features, labels)`, shuffled once. Text comes from ../shared/data and from the
docstrings and source lines of installed packages; digits from scikit-learn; the rest from generative
processes. Embeddings are kept under ~/.cache/trainwise-bench, so only the first run pays for them.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.mail_sets import (
    german,
    issues_kind,
    it_service,
    it_service_long,
    sgd_dialogues,
    spanish_mails,
)
from finetune.catalog import MINILM
from finetune.data.languages import encoder_for

DATA = Path(__file__).resolve().parents[1] / "../shared/data"
CACHE = Path("~/.cache/trainwise-bench").expanduser()
PACKAGES = (
    "numpy",
    "scipy",
    "sklearn",
    "torch",
    "transformers",
    "matplotlib",
    "sqlalchemy",
    "langchain_core",
)
PACKAGES += ("pyarrow", "statsmodels", "nltk", "spacy", "pydantic", "redis", "chromadb", "slack_sdk")

Pairs = list[tuple[str, str]]


def banking() -> Pairs:
    """BANKING77, both official parts in one pool: 13,083 questions, 77 intents."""
    rows: Pairs = []
    for part in ("train", "test"):
        with (DATA / f"banking77/{part}.csv").open(newline="", encoding="utf-8") as file:
            rows += [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return rows


def banking_noisy() -> Pairs:
    """BANKING77 with 12% of the labels drawn at random: a ceiling near 88."""
    rng = np.random.default_rng(5)
    names = sorted({label for _, label in banking()})
    return [(text, names[rng.integers(77)] if rng.random() < 0.12 else label) for text, label in banking()]


def banking_queues() -> Pairs:
    """BANKING77's 77 intents thrown into 8 arbitrary queues: several meanings behind each label."""
    names = sorted({label for _, label in banking()})
    order = np.random.default_rng(8).permutation(len(names))
    queue = {name: f"queue-{order[i] % 8}" for i, name in enumerate(names)}
    return [(text, queue[label]) for text, label in banking()]


def banking_skewed() -> Pairs:
    """40 BANKING77 intents, the i-th kept with probability 0.93**i: a long tail."""
    rng = np.random.default_rng(9)
    names = sorted({label for _, label in banking()})[5:45]
    keep = {name: 0.93**i for i, name in enumerate(names)}
    return [(text, label) for text, label in banking() if rng.random() < keep.get(label, 0)]


def _dialogues() -> list[dict[str, str]]:
    rows = []
    for part in ("train", "test"):
        lines = (DATA / f"sgd_replies/{part}.jsonl").read_text(encoding="utf-8").splitlines()
        rows += [json.loads(line) for line in lines]
    return rows


def sgd_service() -> Pairs:
    """The customer's last message -> the service (one-service dialogues): short and often ambiguous."""
    last = [(row["ticket"].rsplit("Customer:", 1)[-1].strip(), row["service"]) for row in _dialogues()]
    return [(text, service.split("_")[0]) for text, service in last if "|" not in service]


def sgd_question() -> Pairs:
    """The customer's last message -> does the agent answer with a question: two classes, noisy by nature."""
    return [
        (
            row["ticket"].rsplit("Customer:", 1)[-1].strip(),
            "asks" if row["answer"].strip().endswith("?") else "says",
        )
        for row in _dialogues()
    ]


def _sources(package: str, limit: int) -> list[Path]:
    spec = importlib.util.find_spec(package)
    roots = list(spec.submodule_search_locations or []) if spec else []
    files = [
        path for root in roots for path in sorted(Path(root).rglob("*.py")) if "test" not in path.as_posix()
    ]
    order = np.random.default_rng(1).permutation(len(files))
    return [files[i] for i in order[:limit]]


def docstrings() -> Pairs:
    """First sentence of a function's docstring -> the installed package it comes from: 16 classes."""
    rows: Pairs = []
    for package in PACKAGES:
        texts: set[str] = set()
        for path in _sources(package, 400):
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
                    texts.add(doc.split("\n\n")[0].replace("\n", " ")[:200])
        rows += [(text, package) for text in sorted(texts)[:: max(1, len(texts) // 700)] if len(text) > 20]
    return rows


def code_lines() -> Pairs:
    """One line of source -> the package it stands in: hard, slow to learn, far from its ceiling."""
    rows: Pairs = []
    for package in PACKAGES[:8]:
        lines = {
            line.strip() for path in _sources(package, 120) for line in path.read_text("utf-8").splitlines()
        }
        good = sorted(
            line
            for line in lines
            if 30 < len(line) < 110 and not line.startswith(("#", '"', "import", "from"))
        )
        rows += [(line, package) for line in good[:: max(1, len(good) // 1100)]]
    return rows


def generated_topics() -> Pairs:
    """Messages of 12 made-up words from 15 Zipf-like topics that share half of their mass: ceiling known."""
    rng = np.random.default_rng(3)
    words = np.array(["".join(rng.choice(list("abdegiklmnoprstu"), rng.integers(3, 8))) for _ in range(3000)])
    common = rng.dirichlet(np.full(3000, 0.05))
    topics = [0.72 * common + 0.28 * rng.dirichlet(np.full(3000, 0.02)) for _ in range(15)]
    labels = rng.integers(15, size=8000)
    return [(" ".join(rng.choice(words, 12, p=topics[label])), f"topic-{label}") for label in labels]


TEXT_SETS: dict[str, Callable[[], Pairs]] = {
    "banking77": banking,
    "banking77-noisy": banking_noisy,
    "banking77-queues": banking_queues,
    "banking77-skewed": banking_skewed,
    "sgd-service": sgd_service,
    "sgd-question": sgd_question,
    "docstrings": docstrings,
    "code-lines": code_lines,
    "topics": generated_topics,
    "it-service": it_service,
    "it-service-long": it_service_long,
    "issues-kind": issues_kind,
    "sgd-dialogues": sgd_dialogues,
    "german": german,
    "spanish-mails": spanish_mails,
}


def feature_set(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Sets without text: scikit-learn's digits, or a mixture of Gaussians with 5% wrong labels."""
    if name == "digits":
        from sklearn.datasets import load_digits

        data = load_digits()
        return data.data / 16.0, data.target
    rng = np.random.default_rng(4)
    labels = rng.integers(12, size=9000)
    centres = rng.normal(size=(12, 40)) * 0.55
    wrong = rng.random(9000) < 0.05
    noisy = np.where(wrong, rng.integers(12, size=9000), labels)
    return centres[labels] + rng.normal(size=(9000, 40)), noisy


FEATURE_SETS = ("digits", "gaussians")
NAMES = (*TEXT_SETS, *FEATURE_SETS)


def load(name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Features (n, d), labels (n,) and texts ([] for feature sets), in one fixed shuffled order."""
    if name in FEATURE_SETS:
        features, labels = feature_set(name)
        features = features / np.linalg.norm(features, axis=1, keepdims=True)  # unit rows, as embeddings are
        texts: list[str] = []
    else:
        pairs = sorted(set(TEXT_SETS[name]()))
        texts = [text for text, _ in pairs]
        labels = np.unique([label for _, label in pairs], return_inverse=True)[1]
        features = embedded(texts)
    order = np.random.default_rng(0).permutation(len(labels))
    return features[order], labels[order], [texts[i] for i in order] if texts else []


def embedded(texts: list[str]) -> np.ndarray:
    """Embeddings by the encoder that the product takes for these texts, from the cache where the list was embedded before."""
    key = encoder_for(texts)
    marks = texts if key == MINILM else [key, *texts]
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / (hashlib.sha256("\0".join(marks).encode()).hexdigest()[:24] + ".npy")
    if not path.exists():
        from finetune.training.embedding import open_embedder

        np.save(path, open_embedder(key)(texts).astype(np.float16))
    return np.load(path).astype(np.float32)
