"""Shows the reading as menus and applies corrections; pure, from rag/data/menus.yaml and the words of a language.

A menu shows the reading of one part of the case (the task, the failure, the prompt's result, the examples, the
constraints); a correction ("task=reply") sets signals and confirms them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rag.advice.phrases import Phrases
from rag.errors import RagError
from rag.reply import Certainty, Choice, Menu, MenuOption
from rag.signals.schema import SIGNAL_NAMES, Signals

MENUS = Path(__file__).parents[1] / "data" / "menus.yaml"
UNSAID = "unsaid"  # the value that takes a reading back
NO = "no-"  # before an option of a multiple-choice menu: it does not hold
JOIN = "+"
ALIASES = {"gap": "gaps", "wrong": "gaps", "prompt": "baseline", "tried": "baseline", "bind": "binds"}
TYPED = re.compile(r"\s*([a-z]+)\s*[=:]\s*([\w+, .\-]+?)\s*")


@dataclass(frozen=True)
class OptionSpec:
    """An option and the signals that it sets; None clears one."""

    value: str
    sets: Mapping[str, Any]


@dataclass(frozen=True)
class MenuSpec:
    """A menu of menus.yaml. `adds`: a multiple-choice menu; a choice keeps the options that the person said."""

    name: str
    signals: tuple[str, ...]
    options: tuple[OptionSpec, ...]
    number: str = ""
    adds: bool = False


@dataclass(frozen=True)
class Correction:
    """A person's correction: one menu and the signals that its choice sets."""

    menu: MenuSpec
    sets: Mapping[str, Any]


@cache
def load_menus(path: Path = MENUS) -> tuple[MenuSpec, ...]:
    """The menus; RagError when the file cannot be used or names a signal that does not exist."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))["menus"]
        menus = tuple(
            MenuSpec(
                line["name"],
                tuple(line["signals"]),
                tuple(OptionSpec(option["value"], _tuples(option["set"])) for option in line["options"]),
                line.get("number", ""),
                bool(line.get("adds")),
            )
            for line in raw
        )
        for menu in menus:
            for option in menu.options:
                Signals.model_validate({n: v for n, v in option.sets.items() if v is not None})
                if strange := set(option.sets) - set(SIGNAL_NAMES):
                    raise ValueError(f"{menu.name}: unknown signals {sorted(strange)}")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise RagError(f"The menus {path} cannot be used: {error}. Restore it with git.") from error
    return menus


def _tuples(sets: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in sets.items()}


def menus_of(
    signals: Signals, certain: frozenset[str], confirmations: frozenset[str], words: Phrases
) -> tuple[Menu, ...]:
    """The five menus with the reading pre-selected; `certain` names the stated signals, `confirmations` the approved ones."""
    return tuple(_menu(spec, signals, certain, confirmations, words) for spec in load_menus())


def _menu(
    spec: MenuSpec, signals: Signals, certain: frozenset[str], confirmations: frozenset[str], words: Phrases
) -> Menu:
    options = [MenuOption(o.value, words(f"option.{spec.name}.{o.value}")) for o in spec.options]
    selection = _selection(spec, signals, confirmations)
    if selection and selection not in {option.value for option in options}:
        options.insert(0, MenuOption(selection, _joined_label(spec, selection, words)))
    names = {name for name in spec.signals if getattr(signals, name) not in (None, ())}
    return Menu(
        spec.name,
        words(f"menu.{spec.name}"),
        tuple(options),
        selection,
        _certainty(names, certain, confirmations, selection),
    )


def _certainty(
    names: set[str], certain: frozenset[str], confirmations: frozenset[str], selection: str
) -> Certainty:
    if not selection:
        return "unknown"
    if names <= confirmations:
        return "confirmed"
    return "said" if names <= certain else "guessed"


def _selection(spec: MenuSpec, signals: Signals, confirmations: frozenset[str]) -> str:
    """The selected value: an option, several joined, a count, or "" where nothing was read."""
    if spec.number and (count := getattr(signals, spec.number)):
        return str(count)
    holding = [o.value for o in spec.options if o.value != "none" and o.sets and _meets(signals, spec, o)]
    if spec.name == "gaps":
        return JOIN.join(signals.gaps) or ("none" if "gaps" in confirmations else "")
    if spec.number and getattr(signals, spec.number) == 0:
        return "none"
    if holding:
        return JOIN.join(holding) if spec.adds else holding[0]
    return "none" if spec.adds and set(spec.signals) <= confirmations else ""


def _meets(signals: Signals, spec: MenuSpec, option: OptionSpec) -> bool:
    """Whether the signals match the option; an equal or stricter value meets a bound."""
    for name, target in option.sets.items():
        value = getattr(signals, name)
        if name == "latency_ms":
            match = value is not None and value <= target
        elif name == "volume_month":
            match = value is not None and value >= target
        elif name == "volatility":
            match = value in ("daily", "weekly", "monthly")
        else:
            match = value == target
        if not match:
            return False
    return True


def _joined_label(spec: MenuSpec, selection: str, words: Phrases) -> str:
    if spec.number and selection.isdigit():
        return words("say.many", number=f"{int(selection):,}")
    return ", ".join(words.get(f"option.{spec.name}.{part}", part) for part in selection.split(JOIN))


def choice_of(signal: str, values: tuple[Any, Any], words: Phrases) -> Choice | None:
    """Two readings of a signal as one question with both as buttons; None where no menu can set them."""
    spec = next((menu for menu in load_menus() if signal in menu.signals), None)
    if spec is None:
        return None
    if spec.adds:
        options = _bound_options(spec, signal, values, words)
    else:
        options = [_reading_option(spec, signal, value, words) for value in values]
    if not options or options[0].value == options[1].value:
        return None
    text = words("say.either", title=words(f"menu.{spec.name}"), one=options[0].label, other=options[1].label)
    return Choice(text, tuple(options))


def _bound_options(spec: MenuSpec, signal: str, values: tuple[Any, Any], words: Phrases) -> list[MenuOption]:
    """ "Answers must show their source" or "nothing of the kind"; empty where both readings name a bound of their own."""
    options = [o for o in spec.options if o.value != "none" and signal in o.sets]
    sides = [
        next((o.value for o in options if _holds_alone(signal, value, o.sets[signal])), "")
        for value in values
    ]
    if (sides[0] and sides[1]) or not any(sides):
        return []
    bound = sides[0] or sides[1]
    yes = MenuOption(f"{spec.name}={bound}", words(f"option.{spec.name}.{bound}"))
    no = MenuOption(f"{spec.name}={NO}{bound}", words(f"option.{spec.name}.none"))
    return [yes, no] if sides[0] else [no, yes]


def _holds_alone(signal: str, value: Any, target: Any) -> bool:
    if value is None:
        return False
    if signal == "latency_ms":
        return bool(value <= target)
    if signal == "volume_month":
        return bool(value >= target)
    return value in ("daily", "weekly", "monthly") if signal == "volatility" else bool(value == target)


def _reading_option(spec: MenuSpec, signal: str, value: Any, words: Phrases) -> MenuOption:
    if value in (None, (), []):
        return MenuOption(f"{spec.name}={UNSAID}", words("say.unknown"))
    value_read = _selection(spec, Signals.model_validate({signal: value}), frozenset())
    values = {option.value for option in spec.options}
    label = (
        words(f"option.{spec.name}.{value_read}")
        if value_read in values
        else _joined_label(spec, value_read, words)
    )
    return MenuOption(f"{spec.name}={value_read}", label)


def parse_correction(text: str) -> Correction:
    """The correction behind `task=reply`; RagError says which names and values there are."""
    name, _, value = text.partition("=")
    spec = _spec(name.strip().lower())
    choice = value.strip().lower()
    if choice == UNSAID:
        return Correction(spec, {n: () if n == "gaps" else None for n in spec.signals})
    if spec.number and (count := _count(choice)) is not None:
        return Correction(spec, {n: count if n == spec.number else None for n in spec.signals})
    parts = (
        [part.strip() for part in re.split(r"[+,]", choice)] if spec.adds or spec.name == "gaps" else [choice]
    )
    by_value = {option.value: option for option in spec.options}
    if spec.adds:
        by_value |= {f"{NO}{o.value}": OptionSpec(f"{NO}{o.value}", _turned(o.sets)) for o in spec.options}
    if strange := [part for part in parts if part not in by_value]:
        number = ", or a number" if spec.number else ""
        raise RagError(
            f"{spec.name} cannot be {strange[0]!r}. It can be {', '.join(o.value for o in spec.options)}{number}; {UNSAID} takes it back."
        )
    sets: dict[str, Any] = {}
    for part in parts:
        for signal, setting in by_value[part].sets.items():
            sets[signal] = (*sets.get(signal, ()), *setting) if isinstance(setting, tuple) else setting
    return Correction(spec, sets)


def _turned(sets: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of a bound: no for a yes, unknown for a number."""
    return {name: (not value) if isinstance(value, bool) else None for name, value in sets.items()}


def _spec(name: str) -> MenuSpec:
    menus = {menu.name: menu for menu in load_menus()}
    spec = menus.get(ALIASES.get(name, name))
    if spec is None:
        raise RagError(
            f"There is no {name!r} to set. Set one of: {', '.join(menus)}; for example task=reply."
        )
    return spec


def _count(text: str) -> int | None:
    bare = re.fullmatch(r"(\d[\d.,' ]*)\s*(k)?", text)
    if bare is None:
        return None
    digits = re.sub(r"[,' ]", "", bare[1])
    digits = re.sub(r"\.(?=\d{3}\b)", "", digits)
    return int(float(digits.rstrip(".")) * (1000 if bare[2] else 1))


def typed_correction(text: str) -> Correction | None:
    """The correction in a message such as "task=reply" or "prompt: tried_fail"; None for any other message."""
    match = TYPED.fullmatch(text.strip().lower())
    if match is None or ALIASES.get(match[1], match[1]) not in {menu.name for menu in load_menus()}:
        return None
    return parse_correction(f"{match[1]}={match[2]}")


def apply_corrections(
    signals: Signals, corrections: Iterable[Correction], certain: frozenset[str]
) -> tuple[Signals, frozenset[str]]:
    """The signals after corrections, and the names that are confirmed by them.

    A choice replaces the reading; in a multiple-choice menu it replaces guesses and keeps stated options.
    """
    values, names = signals.model_dump(exclude={"quotes"}), set[str]()
    quotes = dict(signals.quotes)
    for correction in corrections:
        whole = len(correction.sets) >= len(correction.menu.signals) or not correction.menu.adds
        for name in correction.menu.signals:
            if whole or name not in certain:
                values[name] = () if name == "gaps" else None
                quotes.pop(name, None)
        values |= correction.sets
        names |= set(correction.menu.signals) if whole else set(correction.sets)
        for name in correction.sets:
            quotes.pop(name, None)
    return Signals.model_validate({**values, "quotes": quotes}), frozenset(names)


def changes_between(before: Sequence[Menu], after: Sequence[Menu], words: Phrases) -> tuple[str, ...]:
    """One line for each menu that changed: the new value and the earlier one."""
    old = {menu.name: menu for menu in before}
    lines = []
    for menu in after:
        earlier = old.get(menu.name)
        if earlier is not None and earlier.selected != menu.selected:
            unknown = words("say.unknown")
            lines.append(
                words(
                    "say.changed", title=menu.title, new=menu.label or unknown, old=earlier.label or unknown
                )
            )
    return tuple(lines)
