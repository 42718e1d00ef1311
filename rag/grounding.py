"""Holds a sentence to its source: the quote stands in the passage and carries what the sentence counts and names.

Covers verbatim quotes (white space and Markdown emphasis apart), numbers in digits or words, identifiers and
names, web addresses, and a "not" that one side lacks. Does not cover whether the passage is true, nor every
way of bending words: a sentence of the same words and figures in another order passes.
"""

from __future__ import annotations

import re

MIN_QUOTE = 12  # characters: less than that stands somewhere in almost any passage
URL = re.compile(r"(?:https?://|www\.)[^\s<>|)\]\"']+", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_TAIL = re.compile(r"\s?-?(k|m|bn|b|thousand|million|billion)?(?![a-z])(\s?%|\s?per ?cent\b)?", re.IGNORECASE)
_TIMES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "bn": 1e9, "billion": 1e9}
_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "twenty": 20, "thirty": 30, "fifty": 50, "half": 0.5, "twice": 2, "double": 2,
    "doubles": 2, "triple": 3, "triples": 3, "dozen": 12,
}  # fmt: skip
_NAMED = re.compile(
    r"\b(?=[\w-]*[A-Za-z])(?=[\w-]*\d)\w[\w.-]*\w\b"  # gpt-4o, ZX-4711, 2e-5
    r"|\b\w+_\w+\b|\b[A-Z]{2,}s?\b|\b[A-Z]?[a-z]+[A-Z]\w*\b"  # learning_rate, AWS, OpenAI, LoRA
    r"|(?<=[a-z,;] )[A-Z][a-z]{2,}\b"  # Google in mid-sentence
)
_COUNTED = re.compile(r"[\d.,-]+(?:k|m|bn|b|gb|ms|s|x|st|nd|rd|th)?", re.IGNORECASE)  # figures, not names
_COMMON = frozenset(
    ["RAG", "LLM", "LLMS", "AI", "ML", "API", "APIS", "GPU", "GPUS", "CPU", "OK", "FAQ", "QA", "PII"]
)
_NOT = re.compile(r"\b(?:not|no|never|none|nothing|neither|nor|cannot|without)\b|n['’]t\b", re.IGNORECASE)
_SOFT = re.compile(
    r"\b(?:un(?:known|able|necessary|needed|likely)|rather than|instead of|only|unless)\b", re.IGNORECASE
)
_CLAUSE = re.compile(r"[;:,.!?]\s|\bbut\b|\bbecause\b")


def squeeze(text: str) -> str:
    """Text with white space and Markdown emphasis made uniform, for comparing quotes."""
    return " ".join(re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", text).split())


def is_supported(claim: str, quote: str, passage: str, heading: str = "") -> bool:
    """Whether `fault` finds nothing."""
    return fault(claim, quote, passage, heading) is None


def fault(claim: str, quote: str, passage: str, heading: str = "") -> str | None:
    """Why the sentence may not stand, in words for whoever wrote it; None when it may.

    `heading` is where the passage stands: a name or number of the claim may stand there as well.
    """
    if len(squeeze(quote)) < MIN_QUOTE:
        return "the quote is too short to prove anything"
    if squeeze(quote) not in squeeze(passage):
        return "the quote does not stand verbatim in that passage"
    source = f"{quote} {heading}"
    checks = (
        ("the address", addresses(claim) - addresses(quote)),
        ("the name", {name for name in names(claim) if name.lower() not in source.lower()}),
        ("the figure", figures(claim) - figures(source, every=True)),
    )
    for what, missing in checks:
        if missing:
            return f"{what} {sorted(missing)[0]} does not stand in the quote"
    return None if _agree(claim, quote) else "only one of sentence and quote says 'not'"


def figures(text: str, every: bool = False) -> set[str]:
    """The numbers of a text in one spelling: "1,200", "1.2k" -> "1200"; "20 percent" -> "20%".

    `every` adds the bare number of a percentage and the first end of "10-20%" as a percentage: what a quote
    allows, more than what a claim demands.
    """
    spellings = set()
    for match in _NUMBER.finditer(text):
        tail = _TAIL.match(text, match.end())
        value = float(match[0].replace(",", "")) * _TIMES.get(((tail and tail[1]) or "").lower(), 1.0)
        percent = bool(tail and tail[2])
        if every and (percent or re.match(r"\s?(?:-|–|to)\s?\d+(?:\.\d+)?\s?%", text[match.end() :])):
            spellings |= {f"{value:g}%", f"{value:g}"}
        else:
            spellings.add(f"{value:g}%" if percent else f"{value:g}")
        if every:
            spellings.add(f"{float(match[0].replace(',', '')):g}")
    words = re.findall(r"[a-z]+", text.lower())
    return spellings | {f"{_WORDS[word]:g}" for word in words if word in _WORDS}


def addresses(text: str) -> set[str]:
    """The web addresses of a text, without the punctuation that ends a sentence."""
    return {address.rstrip(".,;:!?") for address in URL.findall(text)}


def names(text: str) -> set[str]:
    """Identifiers and proper names: codes, models, settings, products."""
    identifiers = {name.strip(".-") for name in _NAMED.findall(URL.sub(" ", text))}
    return {name for name in identifiers if name.upper() not in _COMMON and not _COUNTED.fullmatch(name)}


def _agree(claim: str, quote: str) -> bool:
    """Whether a "not" of the claim has one in the quote, and the clause nearest to the claim has none alone."""
    if squeeze(claim) == squeeze(quote):
        return True
    claim_words = _content(claim)
    clauses = [part for part in _CLAUSE.split(quote) if part.strip()] or [quote]
    if _NOT.search(claim):
        return any(_NOT.search(part) and claim_words & _content(part) for part in clauses)
    nearest = max(clauses, key=lambda part: len(claim_words & _content(part)))
    return not _NOT.search(nearest) or bool(_SOFT.search(claim))


def _content(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[a-z]{4,}", text.lower())}
