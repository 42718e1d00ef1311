"""Personal data by Presidio's pattern recognisers, offline: no spaCy model, no public-suffix download.

Covers e-mail addresses, cards, IBANs, IP addresses, US social security numbers, phone numbers and crypto
wallets. Does not cover names, street addresses or dates of birth: they need a language model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from finetune.secret_patterns import Span

KINDS = {
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "US_SSN": "SSN",
    "PHONE_NUMBER": "PHONE",
    "CRYPTO": "WALLET",
}
LEAST_SCORE = 0.4
WINDOW, OVERLAP = 1_500, 150  # characters; no kind is longer than the overlap, but for odd addresses
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_WORTH_A_LOOK = re.compile(r"@|\d|::|bc1", re.IGNORECASE)

Find = Callable[[str], list[Span]]


def installed() -> bool:
    """Whether Presidio is there (it comes with the `train` extra)."""
    return find_spec("presidio_analyzer") is not None


def presidio() -> Find:
    """A function from a text to its spans; loading takes a second or two, once.

    Texts without a digit, an @ or a double colon hold none of the kinds and are not looked at: same result,
    several times faster (benchmarks/data.py checks both).
    """
    analyse = _engine()

    def look(text: str) -> list[Span]:
        if not _WORTH_A_LOOK.search(text):
            return []
        return [
            Span(start + one.start, start + one.end, KINDS[one.entity_type])
            for start, piece in _pieces(text)
            for one in analyse(piece)
        ]

    return look


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Overlapping pieces of WINDOW characters with their starts: Presidio's patterns take a minute for 50,000
    characters made to stall them, since their time grows with the square."""
    start = 0
    while True:
        yield start, text[start : start + WINDOW]
        if start + WINDOW >= len(text):
            return
        blank = text.rfind(" ", start + WINDOW // 2, start + WINDOW - OVERLAP)
        start = blank if blank > 0 else start + WINDOW - OVERLAP


def addresses(text: str) -> list[Span]:
    """E-mail addresses only: what is left to look for without Presidio."""
    return [Span(*found.span(), "EMAIL") for found in _EMAIL.finditer(text)]


def _engine() -> Callable[[str], Any]:
    import logging

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer import predefined_recognizers as known
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from tldextract import TLDExtract

    class Blank(SpacyNlpEngine):
        """Tokens only: enough for the words around a match that raise its score."""

        def __init__(self) -> None:
            super().__init__(models=[{"lang_code": "en", "model_name": "blank"}])
            self.nlp: Any = {"en": spacy.blank("en")}

    suffixes = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmail(known.EmailRecognizer):  # type: ignore[misc]
        """Presidio's own fetches the list of domain endings from the network; this reads the packaged one."""

        def validate_result(self, pattern_text: str) -> bool:
            return suffixes(pattern_text).fqdn != ""

    recognisers = [
        OfflineEmail(),
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
        known.IpRecognizer(),
        known.UsSsnRecognizer(),
        known.PhoneRecognizer(),
        known.CryptoRecognizer(),
    ]
    registry = RecognizerRegistry(recognizers=recognisers, supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=Blank(), supported_languages=["en"])
    return lambda text: engine.analyze(text, "en", entities=list(KINDS), score_threshold=LEAST_SCORE)
