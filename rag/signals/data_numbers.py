"""Parses numbers about the data: classes, examples, documents, held-out rows, bare scores.

Each rule takes the number, the words before and after it within its clause, and the whole text. Their order stands in
rag/signals/numbers.py. Pure.
"""

from __future__ import annotations

import re

from rag.signals.number_match import NO_MATCH, KindMatch, Number
from rag.signals.number_words import (
    CLASS,
    EVAL,
    EXAMPLE_STRONG,
    EXAMPLE_WEAK,
    GAP,
    IN_PROMPT,
    INTO_CLASSES,
    KB,
    LABEL_KNOWN,
    PEOPLE,
    PER,
    SORTS,
    is_wanted,
)


def per_class(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Examples of each class."""
    head = re.match(
        r"\s(?:labell?ed|tagged|annotated|gelabelte|étiquetés|etiquetados)(?: \w+)? (?:per|for each|for every|je|par|por) (?!lang|day|month|week|hour|year|mois|jour|mes|tag\b|monat)[a-zà-ÿ]+",
        after,
    )
    if head:
        return "per_class", number.value, head.end()
    head = re.match(rf"\s?{GAP}{PER}{CLASS}", after)
    if head:
        return "per_class", number.value, head.end()
    if re.match(rf"\s?(?:[\w\-]+\s){{0,2}}?{CLASS},?\s(?:each|with)\b", after) and number.value <= 2000:
        return "classes", number.value, 0  # "31 ticket types each have 400"
    head = re.match(
        rf"\s?{GAP}(?:labell?ed\s)?(?:examples?|samples?|tickets?|rows|beispiele?|exemples?|ejemplos?|messages|utterances|notes|e?mails)?\s?(?:each|apiece|jeweils|chacune?|cada un[oa])\b",
        after,
    )
    if head:
        return "per_class", number.value, head.end()
    if re.match(rf"\s?{GAP}{EXAMPLE_STRONG}", after) and re.search(
        rf"{CLASS}\W*(?:\w+\W+)?(?:each|apiece|every one)\W*(?:\w+\W+){{0,2}}(?:>|over |about |~)?\s?$",
        before,
    ):
        return "per_class", number.value, 0
    if re.search(
        r"per (?:class|label|intent|category|tag|topic)\W*(?:is|are|of|about|~|:|we have)?\W*$", before
    ):
        return "per_class", number.value, 0
    return NO_MATCH


def tokens(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Tokens of a prompt, of documents or to pretrain on."""
    head = re.match(r"\s?-?(?:[\w\-]+\s){0,4}?(?:tokens?|toks?)\b", after)
    if not head:
        return NO_MATCH
    if re.search(r"prompt\W*(?:\w+\W+){0,3}$", before) or re.match(r"[^,]{0,20}prompt", after[head.end() :]):
        return "prompt_tokens", number.value, head.end()
    return ("pretrain_tokens" if number.value >= 1e9 else "kb_tokens"), number.value, head.end()


def evaluation(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Held-out rows of an evaluation."""
    if re.search(r"\b(?:acc\w*|loss|f1|score|train|val(?:idation)?)\W*$", before) and number.value <= 100:
        return NO_MATCH  # "train acc 99 val 71" are two scores
    if re.search(r"\bn\s?=\s?$", before):
        return "eval_n", number.value, 0
    head = re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{EVAL}", after)
    if head and not re.match(r"\s?-?(?:\w+\s){0,2}test(?:ed|ing)", after):
        return "eval_n", number.value, head.end()
    if re.search(
        rf"\b(?:{EVAL}|gold set|test ?data|sample)\W*(?:\w+\W+)?(?:of|with|on|over|is|has|:|=|n=|von|mit|de|con|sur|auf|sobre)?\W*$",
        before,
    ):
        return "eval_n", number.value, 0
    if re.search(
        r"\d\s?(?:%|percent|prozent)\s(?:[\w/'’]+\s){0,4}?(?:on|of|over|across|sur|auf|bei|de|en|sobre|out of|in)\s(?:(?:our|the|a|an|my|unser\w*|nos|notre|un|una|nuestr\w*|last|real|des|les|le|la|los|las|n)\s?=?\s?)*~?$",
        before,
    ):
        return "eval_n", number.value, 0
    return NO_MATCH


def people(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Researchers; other people are passed over."""
    head = re.match(rf"\s?-?(?:[\w\-]+\s){{0,2}}?{PEOPLE}", after)
    if not head or re.match(rf"\s?-?{EXAMPLE_STRONG}\s(?:by|from|von|par|por)\b", after):
        return NO_MATCH
    science = re.search(r"research|scientist|phd|chercheur|forscher|investigador", head[0])
    return ("researchers" if science else "ignore"), number.value, head.end()


def classes(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Classes to sort into."""
    head = re.match(rf"\s?-?(?:[\w\-/]+\s){{0,2}}?{CLASS}", after) or re.match(
        r"\s?-?(?:way|class|label)\b", after
    )
    if head and 2 <= number.value <= 2000 and number.mult not in ("k", "m"):
        if re.match(rf"\s?{EXAMPLE_STRONG}", after):
            return NO_MATCH
        return "classes", number.value, head.end()
    into = re.search(r"\b(?:into|in|to|onto|of|across|among) (?:one of )?(?:the |our |its |these )?$", before)
    if into and re.search(SORTS, before) and re.match(INTO_CLASSES, after) and 2 <= number.value <= 2000:
        return "classes", number.value, 0
    return NO_MATCH


def examples(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Examples with labels, or raw ones."""
    aside = re.search(r"top-?\s?$|first\s$|few\s$|chose\s$|show\w*\s$", before) or (
        number.value <= 60 and re.search(IN_PROMPT, before)
    )
    head = re.match(rf"\s?-?{GAP}{EXAMPLE_STRONG}", after)
    if head and not aside:
        return "examples", number.value, head.end()
    head = re.match(rf"\s?-?{GAP}{EXAMPLE_WEAK}(?=\s{LABEL_KNOWN})", after)
    if head and not aside:
        return "examples", number.value, head.end()
    head = re.match(rf"\s?-?{GAP}{EXAMPLE_WEAK}", after)
    if head and not aside:
        return "examples_raw", number.value, head.end()
    if re.search(
        r"\b(?:labell?ed|examples?|dataset|annotated|trained on|training set|samples)\W*(?:of|with|:|is|~|about|only)?\W*$",
        before,
    ):
        return "examples", number.value, 0
    return NO_MATCH


def documents(number: Number, before: str, after: str, text: str) -> KindMatch:
    """Documents, as the tokens that they come to."""
    for pattern, tokens in KB.items():
        head = re.match(rf"\s?-?(?:[\w'’\-]+\s){{0,2}}?{pattern}", after)
        if head:
            return "kb_tokens", number.value * tokens, head.end()
    return NO_MATCH


def bare_score(number: Number, before: str, after: str, text: str) -> KindMatch:
    """88 without a sign is a score beside a word for scores or for a target; 0.81 beside F1 too."""
    fraction = 0 < number.value < 1
    value = number.value * 100 if fraction else number.value
    if number.mult or not (20 <= value <= 100):
        return NO_MATCH
    metric = re.search(
        r"(?:acc\w*|f1|score|precision|recall|val|bleu|macro|auc)\W*(?:is|of|at|=|:|was)?\W*$", before
    ) or re.match(r"\s?(?:f1|acc\b|accuracy|macro|bleu|auc)", after)
    bare_end = re.match(r"\s*(?:\+|$|→|->|now|today|but|or so|at (?:least|best))", after)
    if is_wanted(before) and (bare_end or metric):
        return "target", value, 0
    if metric:
        return "score", value, 0
    if bare_end and re.search(
        r"(?:stuck at|plateau\w* at|gets?|scores?|tops out at|sits at|only|reache[sd]|(?:it|they|prompts) reach)\W*$",
        before,
    ):
        return "score", value, 0
    return NO_MATCH
