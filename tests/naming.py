"""Count the names that are past participles (`found`, `told`, `kept`): they say that something happened, not what it is."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

IRREGULAR = frozenset(
    """been begun bent bitten blown born bought bound bred broken brought built burnt caught chosen come dealt done
    drawn driven eaten fallen fed felt flown forgiven forgotten fought found frozen given gone got gotten grown had
    heard held hidden hung kept known laid led lent lost made meant met paid proven ridden risen said sat seen sent
    shaken shed shone shot shown slept sold sought spent spoken stolen stood struck stuck sung swept swum taken taught
    thought thrown told torn understood woken won worn written""".split()  # noqa: SIM905 - a list of words reads best as words
)
TERMS = frozenset(
    """distributed embed embedded expected fixed hundred indeed labelled malformed masked nested observed padded predicted
    pretrained quantized quoted reversed seed shared signed sorted speed weighted""".split()  # noqa: SIM905
)
"""Words in -ed that are terms of the field, or no participles at all."""


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """The file's syntax tree, read once for all that look at it."""
    return ast.parse(path.read_text("utf-8"))


def assigned_names(path: Path) -> Iterator[str]:
    """Variables, parameters, attributes, functions and classes, once for each time that one is set."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name


def is_participle(name: str) -> bool:
    """Whether a name is one past participle and nothing more; constants in capitals are not looked at."""
    word = name.strip("_").lower()
    if "_" in word or name.isupper():
        return False
    return word in IRREGULAR or (word.endswith("ed") and len(word) > 4 and word not in TERMS)


def participles_per_thousand(folder: Path) -> tuple[float, list[str]]:
    """The rate among all assigned names under a folder, and its worst files, each with its participles."""
    total, by_file = 0, {}
    for path in sorted(folder.rglob("*.py")):
        names = list(assigned_names(path))
        total += len(names)
        by_file[path] = Counter(name for name in names if is_participle(name))
    worst = sorted(by_file, key=lambda path: -by_file[path].total())[:8]
    lines = [f"{path}: {', '.join(by_file[path])}" for path in worst if by_file[path]]
    return 1000 * sum(count.total() for count in by_file.values()) / max(1, total), lines
