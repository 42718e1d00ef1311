"""The decision table as data: loads rag/table.yaml, checks every name and value, tests conditions.

Covers the grammar that table.yaml explains on its first lines; decides nothing (see rag/advice/decide.py).
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from rag.advice.facts import DERIVED, FACT_NAMES
from rag.errors import RagError
from rag.reply import Verdict
from rag.signals.schema import SIGNAL_NAMES, Signals

DEFAULT = Path(__file__).parents[1] / "table.yaml"
COMPARE = {
    "at_least": lambda value, limit: value >= limit,
    "at_most": lambda value, limit: value <= limit,
    "below": lambda value, limit: value < limit,
    "above": lambda value, limit: value > limit,
}
SECTIONS = (
    "Should You Train Your Own Model?",
    "The Training Spectrum",
    "What You Need for Training",
    "The Training Process",
    "Where to Train Models",
    "Realistic Cost Estimates",
    "Real-World Training Examples",
    "Common Mistakes to Avoid",
)
TOP = {
    "version",
    "options",
    "sources",
    "gates",
    "blocks",
    "rules",
    "ties",
    "questions",
    "sections",
    "experiments",
    "flips",
}


class TableError(RagError):
    """The table cannot be used; the text lists every problem with its place."""


@dataclass(frozen=True)
class Rule:
    """One line of the table: if `when` holds, `points` are added (a gate has a verdict in their place).

    `say` speaks of the asker's case and may be told once all of `asserts` was said or confirmed (None: the signals
    of `when`); `general` asserts nothing about the case and is told otherwise.
    """

    id: str
    when: Mapping[str, Any]
    say: str
    source: str
    points: Mapping[str, float]
    verdict: str | None = None
    verdicts: tuple[str, ...] = ()
    general: str = ""
    asserts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Table:
    """The table after checking; the parts that only carry words stay plain data."""

    options: tuple[str, ...]
    sources: Mapping[str, str]
    gates: tuple[Rule, ...]
    blocks: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    ties: tuple[Mapping[str, Any], ...]
    questions: tuple[Mapping[str, Any], ...]
    sections: Mapping[str, Any]
    experiments: Mapping[str, Any]
    flips: tuple[Mapping[str, Any], ...]


@cache
def load_table(path: Path = DEFAULT) -> Table:
    """The checked table, or TableError naming all problems at once and where they stand."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TableError(f"Cannot read the decision table {path}: {error}. Restore it with git.") from error
    problems = _problems(raw)
    if problems:
        raise TableError(
            f"{path} has {len(problems)} problem(s): " + "; ".join(problems) + ". Correct these lines."
        )
    return Table(
        options=tuple(raw["options"]),
        sources=raw["sources"],
        gates=tuple(_rule(line) for line in raw["gates"]),
        blocks=tuple(_rule(line) for line in raw["blocks"]),
        rules=tuple(_rule(line) for line in raw["rules"]),
        ties=tuple(raw["ties"]),
        questions=tuple(raw["questions"]),
        sections=raw["sections"],
        experiments=raw["experiments"],
        flips=tuple(raw["flips"]),
    )


def _rule(line: Mapping[str, Any]) -> Rule:
    return Rule(
        id=line["id"],
        when=line["when"],
        say=line["say"],
        source=line["source"],
        points=line.get("points", {}),
        verdict=line.get("verdict"),
        verdicts=tuple(line.get("verdicts", ())),
        general=line.get("general", ""),
        asserts=tuple(line["asserts"]) if "asserts" in line else None,
    )


def holds(when: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Does every line of the condition hold? An unknown value meets no comparison, only `unknown`."""
    return all(_line_holds(name, condition, facts) for name, condition in when.items())


def _line_holds(name: str, condition: Any, facts: Mapping[str, Any]) -> bool:
    if name == "any":
        return any(holds(block, facts) for block in condition)
    if name == "none_of":
        return not any(holds(block, facts) for block in condition)
    value = facts.get(name)
    if condition == "unknown":
        return value is None
    if value is None:
        return False
    if isinstance(condition, Mapping):
        return all(COMPARE[how](value, limit) for how, limit in condition.items())
    choices = condition if isinstance(condition, list) else [condition]
    if isinstance(value, tuple):
        return any(choice in value for choice in choices)
    return any(value == choice and type(value) is type(choice) for choice in choices)


def _problems(raw: Any) -> list[str]:
    """Everything wrong with the file, each with its place; empty when it can be used."""
    if not isinstance(raw, dict):
        return ["the file is not a mapping"]
    problems = [f"unknown key {key!r}" for key in sorted(set(raw) - TOP)]
    problems += [f"missing key {key!r}" for key in sorted(TOP - set(raw))]
    if problems:
        return problems
    if sorted(raw["options"]) != sorted(str(v) for v in list(Verdict)[:5]):
        problems.append("options: name prompt, rag, small_model, fine_tune and foundation_model once each")
    for part in ("gates", "blocks", "rules"):
        ids: set[str] = set()
        for number, line in enumerate(raw[part] or [], 1):
            place = f"{part}[{line.get('id', number) if isinstance(line, dict) else number}]"
            problems += _line_problems(place, part, line, raw, ids)
    problems += _words_problems(raw)
    return problems


def _line_problems(place: str, part: str, line: Any, raw: Mapping[str, Any], ids: set[str]) -> list[str]:
    if not isinstance(line, dict):
        return [f"{place}: not a mapping"]
    effect = {"gates": "verdict", "blocks": "verdicts", "rules": "points"}[part]
    required_keys = {"id", "when", "say", "source", effect}
    keys = required_keys | ({"general", "asserts"} if part == "rules" else set())
    if not required_keys <= set(line) <= keys:
        return [f"{place}: needs {sorted(required_keys)}, may have {sorted(keys)}, has {sorted(line)}"]
    problems = [
        f"{place}: unknown signal {n!r} in asserts" for n in line.get("asserts", ()) if n not in SIGNAL_NAMES
    ]
    if part == "rules" and line.get("asserts") != [] and not line.get("general"):
        problems.append(
            f"{place}: needs `general`, what is told while its signals are guesses (or `asserts: []`)"
        )
    if line["id"] in ids:
        problems.append(f"{place}: the id is used twice")
    ids.add(line["id"])
    if line["source"] not in raw["sources"]:
        problems.append(f"{place}: source {line['source']!r} is not in sources")
    problems += _when_problems(place, line["when"])
    blanks = [name for _, name, _, _ in Formatter().parse(str(line["say"])) if name is not None]
    problems += [
        f"{place}: say names {n!r}, which `when` does not ask for" for n in blanks if n not in line["when"]
    ]
    if part == "rules":
        for option, points in line["points"].items() if isinstance(line["points"], dict) else []:
            if option not in raw["options"]:
                problems.append(f"{place}: unknown option {option!r} in points")
            if isinstance(points, bool) or not isinstance(points, int | float) or abs(points) > 20:
                problems.append(
                    f"{place}: points for {option} must be a number from -20 to 20, not {points!r}"
                )
    names = [line["verdict"]] if part == "gates" else line.get("verdicts", [])
    problems += [f"{place}: unknown verdict {n!r}" for n in names if n not in {*map(str, Verdict), "points"}]
    return problems


def _when_problems(place: str, when: Any) -> list[str]:
    if not isinstance(when, dict):
        return [f"{place}: `when` is not a mapping"]
    problems = []
    for name, condition in when.items():
        if name in ("any", "none_of"):
            if not isinstance(condition, list):
                problems.append(f"{place}: {name} needs a list of blocks")
                continue
            for block in condition:
                problems += _when_problems(place, block)
        elif name not in FACT_NAMES:
            problems.append(f"{place}: unknown signal {name!r}; known: {', '.join(sorted(FACT_NAMES))}")
        elif isinstance(condition, dict):
            bad = [
                f"{k}: {v!r}"
                for k, v in condition.items()
                if k not in COMPARE or isinstance(v, bool) or not isinstance(v, int | float)
            ]
            problems += [
                f"{place}: {name} {what} is no comparison ({', '.join(COMPARE)} with a number)"
                for what in bad
            ]
        elif condition != "unknown":
            problems += [f"{place}: {name} cannot be {value!r}" for value in _impossible(name, condition)]
    return problems


def _impossible(name: str, condition: Any) -> list[Any]:
    """The values that this signal can never have (a typo in the table would otherwise never fire)."""
    values = condition if isinstance(condition, list) else [condition]
    if name in DERIVED:
        return [value for value in values if not isinstance(value, bool | int)]
    kind = Signals.model_fields[name].annotation
    options: set[Any] = set()
    numeric = False
    stack: list[Any] = [kind]
    while stack:
        part = stack.pop()
        if typing.get_origin(part) is typing.Literal:
            options |= set(typing.get_args(part))
        elif part is bool:
            options |= {True, False}
        elif part in (int, float, str):
            numeric = True
        else:
            stack += [arg for arg in typing.get_args(part) if arg is not ...]
    return [] if numeric else [value for value in values if value not in options]


def _words_problems(raw: Mapping[str, Any]) -> list[str]:
    """Checks of sections, experiments, questions and flips."""
    problems = []
    for verdict, titles in raw["sections"].items():
        names = [line["add"] for line in titles] if verdict == "extra" else titles
        problems += [
            f"sections[{verdict}]: the guide has no section {n!r}" for n in names if n not in SECTIONS
        ]
    for line in raw["sections"].get("extra", []):
        problems += _when_problems(f"sections[extra {line['add']}]", line["when"])
    for verdict in [*raw["options"], "need_more_info"]:
        blocks = raw["experiments"].get(verdict)
        if not blocks or blocks[-1].get("when") != {}:
            problems.append(f"experiments[{verdict}]: needs a last block with `when: {{}}`")
        for block in blocks or []:
            problems += _when_problems(f"experiments[{verdict}]", block["when"])
    for line in raw["questions"]:
        unknown = [name for name in line["known"] if name not in FACT_NAMES]
        problems += [f"questions[{line['id']}]: unknown signal {name!r}" for name in unknown]
        for values in [line.get("none", {}), *(option["set"] for option in line["options"])]:
            try:
                Signals(**values)
            except ValueError as error:
                problems.append(f"questions[{line['id']}] sets {values}: {error}")
    for line in raw["ties"]:
        problems += _when_problems(f"ties[{line.get('option')}]", line.get("when", {}))
        if line.get("option") not in raw["options"]:
            problems.append(f"ties: unknown option {line.get('option')!r}")
    for line in raw["flips"]:
        strange = [name for name in line.get("toward", [None]) if name not in raw["options"]]
        problems += [f"flips[{line.get('id')}]: unknown option {name!r} in toward" for name in strange]
        try:
            Signals(**line["set"])
        except ValueError as error:
            problems.append(f"flips[{line.get('say')}]: {error}")
        problems += _when_problems(f"flips[{line.get('say')}]", line.get("only", {}))
    return problems
