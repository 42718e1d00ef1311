"""Takes personal data and secrets out of text before it leaves for a language model.

Covers e-mail addresses, phone numbers in international or North American form, payment cards (Luhn), US social
security numbers, IBANs, IPv4 addresses, Slack member ids, API keys of known vendors, JSON web tokens and private
keys. Does not cover names, postal addresses or anything else in free words: never call the rest anonymous.
"""

from __future__ import annotations

import re

_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bxox[a-z]-[A-Za-z0-9-]{8,}|\bxapp-[A-Za-z0-9-]{8,}"),
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}|\bhf_[A-Za-z0-9]{20,}"),
    re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"),
    re.compile(r"(?i)(?<=password[:= ])\s?[^\s,;]{6,}|(?<=bearer )[A-Za-z0-9._-]{16,}"),
)
_PERSONAL = (
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("iban", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")),
    ("person", re.compile(r"<@[UW][A-Z0-9]+(?:\|[^>]*)?>")),
    ("ssn", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")),
    ("ip", re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]\d)")),
    ("phone", re.compile(r"(?<![\w+])\+\d[\d ().-]{7,17}\d(?!\w)|(?<![\w.])\(?\d{3}\)?[ .-]\d{3}[.-]\d{4}(?!\w)")),
)  # fmt: skip
_CARD = re.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.]\d)")


def redact(text: str) -> str:
    """The text with each find replaced by its kind in brackets, such as [email]."""
    text = redact_secrets(text)
    text = _CARD.sub(lambda match: "[card]" if luhn(match[0]) else match[0], text)
    for kind, pattern in _PERSONAL:
        text = pattern.sub(f"[{kind}]", text)
    return text


def redact_secrets(text: str) -> str:
    """The text without keys, tokens and passwords; for documents, whose addresses are meant to be read."""
    for pattern in _SECRETS:
        text = pattern.sub("[secret]", text)
    return text


def luhn(digits: str) -> bool:
    """Whether the digits carry a valid check digit, as every payment card does."""
    values = [int(char) for char in reversed(digits) if char.isdigit()]
    doubles = [value * 2 - 9 * (value > 4) for value in values[1::2]]
    return (sum(values[::2]) + sum(doubles)) % 10 == 0
