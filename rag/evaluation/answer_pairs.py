"""Labelled pairs of a question and a piece of a document, for training what tells an answer from a near miss.

The pairs are made from rag/data/answering, written for this and in other fields than any benchmark: facts with several
wordings and questions (`facts_*.txt`), tables, chats, and passages with questions by hand. A piece that does not answer
is a neighbour, the same fact of another subject, year or version, or what stands nearest to a question that nothing answers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from rag.evaluation.answer_lines import (
    ANSWERS,
    FOLDER,
    NO_ANSWER,
    OTHER_ATTRIBUTE,
    OTHER_SUBJECT,
    STRANGER,
    AnswerPair,
    Fact,
    Field,
    Line,
    as_typed,
    nearest,
    pair_of,
    read_fields,
    read_lines,
)
from rag.evaluation.answer_passages import is_for_fitting, pairs_of_passages, passage_files
from rag.evaluation.answer_tables import pairs_of_table
from rag.evaluation.answer_values import Values, fill

DOCUMENTS_PER_FIELD, TABLES_PER_FORM, CHATS = 4, 10, 12
SHARE_OF_FACTS = 0.7


def make_pairs(seed: int = 5, without: frozenset[str] = frozenset()) -> list[AnswerPair]:
    """All pairs but those of the passages `without`; the same seed gives the same list."""
    chance = random.Random(seed)
    pairs: list[AnswerPair] = []
    for file in sorted(FOLDER.glob("facts_*.txt")):
        for one in read_fields(file):
            for _ in range(DOCUMENTS_PER_FIELD):
                pairs += _of_document(one, chance)
    pairs += [pair for _ in range(CHATS) for pair in _of_chat(chance)]
    for line in read_lines(FOLDER / "tables.txt"):
        for _ in range(TABLES_PER_FORM):
            pairs += pairs_of_table(line, chance)
    for file in passage_files():
        if file.stem not in without and not is_for_fitting(file):
            pairs += pairs_of_passages(file, chance)
    strangers = [
        replace(pair, text=chance.choice(pairs).text, labels=STRANGER)
        for pair in chance.sample(pairs, len(pairs) // 20)
    ]
    return list(dict.fromkeys([*pairs, *strangers]))


def _of_document(one: Field, chance: random.Random) -> list[AnswerPair]:
    name = fill(chance.choice(one.names), Values(chance))
    title = fill(chance.choice(one.titles), Values(chance, {"E": name}))
    facts = [fact for fact in one.facts if chance.random() < SHARE_OF_FACTS]
    lines = [_state(fact, one, name, chance) for fact in facts]
    for line, former in zip(lines[1:], lines, strict=False):
        if line.leaf == former.leaf and not line.header and not former.header:
            line.before = former.text
    pairs: list[AnswerPair] = []
    for line in lines:
        other = fill(chance.choice(one.names), Values(chance))
        for template in line.fact.questions[
            : 1 if line.header else None
        ]:  # a row holds the first one's answer alone
            question = _ask(template, line.values, one, name, chance)
            pairs.append(pair_of(question, title, line, ANSWERS, one.name))
            pairs += [
                pair_of(question, title, near, OTHER_ATTRIBUTE, one.name)
                for near in _nearest(question, [n for n in lines if n.fact is not line.fact], 2, chance)
            ]
            if _has_slot(template) and chance.random() < 0.7:
                swap = _state(line.fact, one, name, chance)
                if fill(template, swap.values) != fill(template, line.values):
                    pairs.append(pair_of(question, title, swap, OTHER_SUBJECT, one.name))
            if name.lower() in question.lower() and other != name and chance.random() < 0.6:
                other_title = fill(chance.choice(one.titles), Values(chance, {"E": other}))
                swap = _state(line.fact, one, other, chance)
                pairs.append(pair_of(question, other_title, swap, OTHER_SUBJECT, one.name))
        for template in line.fact.near:
            question = _ask(template, line.values, one, name, chance)
            pairs.append(pair_of(question, title, line, NO_ANSWER, one.name))
            others = [n for n in lines if n.fact is not line.fact and template not in n.fact.questions]
            pairs += [
                pair_of(question, title, n, NO_ANSWER, one.name)
                for n in _nearest(question, others, 1, chance)
            ]
    return pairs


def _state(fact: Fact, one: Field, name: str, chance: random.Random) -> Line:
    """The fact of a subject in one of its wordings, or as a row."""
    values = Values(chance, {"E": name})
    if fact.row and chance.random() < 0.3:
        label, _, value = fill(fact.row, values).partition(" => ")
        header = chance.choice((("Item", "Value"), ("", ""), ("What", "How much"), ("", "All models")))
        for template in (*fact.wordings, *fact.questions):
            fill(template, values)
        return Line(fact, values, f"| {label} | {value} |", fact.section, header=header)
    template = chance.choice(fact.wordings)
    if chance.random() < 0.4:
        template = re.sub(r"^\{E\}", one.noun[0].upper() + one.noun[1:], template).replace("{E}", one.noun)
    text = fill(template, values)
    return Line(fact, values, text, fact.section)


def _ask(template: str, values: Values, one: Field, name: str, chance: random.Random) -> str:
    """The question as somebody might type it: with the subject named, called by its kind, or left out."""
    if "{E}" in template and chance.random() < 0.25:
        template = template.replace("{E}", one.noun)
    elif "{E}" not in template and chance.random() < 0.4:
        form = chance.choice(("{E} {q}", "{q} ({E})", "{E}: {q}", "{q}, {E}", "{q} - {E}"))
        template = form.replace("{q}", template.rstrip("?"))
    return as_typed(fill(template, values), chance)


def _has_slot(template: str) -> bool:
    return any(slot != "E" for slot in re.findall(r"\{(\w+)\}", template))


def _nearest(question: str, lines: Sequence[Line], count: int, chance: random.Random) -> list[Line]:
    return nearest(question, lines, count, chance, lambda line: line.text)


def _of_chat(chance: random.Random) -> list[AnswerPair]:
    one = read_fields(FOLDER / "chats.txt")[0]
    name = fill(chance.choice(one.names), Values(chance))
    title = fill(chance.choice(one.titles), Values(chance, {"E": name}))
    minutes = 9 * 60
    lines: list[Line] = []
    line_before = ""
    for fact in chance.sample(one.facts, 11):
        values = Values(chance, {"E": name})
        parts = fill(fact.wordings[0], values).split("||")
        for part in parts:
            minutes += chance.randint(1, 19)
            text = f"[{minutes // 60:02}:{minutes % 60:02}] {part}"
            if part is parts[-1]:
                lines.append(Line(fact, values, text, title, line_before))
            line_before = text
    pairs: list[AnswerPair] = []
    for line in lines:
        others = [n for n in lines if n is not line]
        for template in line.fact.questions:
            question = _ask(template, line.values, one, name, chance)
            pairs.append(pair_of(question, title, line, ANSWERS, one.name))
            near = _nearest(question, others, 2, chance)
            pairs += [pair_of(question, title, n, OTHER_ATTRIBUTE, one.name) for n in near]
        for template in line.fact.near:
            question = _ask(template, line.values, one, name, chance)
            pairs.append(pair_of(question, title, line, NO_ANSWER, one.name))
            near = _nearest(question, [n for n in others if template not in n.fact.questions], 1, chance)
            pairs += [pair_of(question, title, n, NO_ANSWER, one.name) for n in near]
    return pairs
