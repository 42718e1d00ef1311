"""Finds names of people in tickets: by the file's own columns, and by words that introduce a name. Pure.

A full name counts in every row, a single one only in its own row and in capitals; a name that is also a word (Mark,
Will, Grant, Page) only behind a greeting, a title or the like, never where a sentence uses it as a word.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from finetune.data.secrets import Span
from finetune.data.ticket import Ticket

MAX_WORDS, RARE = 500_000, 0.0005  # words counted at once; the share below which one is forgotten then
COMMON_SHARE = 0.005  # a word in this share of the tickets in lower case is no name, whoever is called so
SHORTEST_NAME = 3
NAMES_THAT_ARE_WORDS = frozenset(
    """abbey alba amber angel april archer art ash aurora autumn bailey baker banks bar barker basil bass bay bear bell best
    bill bird bishop black blanca blue bond book booth bowling brand bridge brook brooks brown buck bush butler cannon carpenter
    carter case cash chance charity chase chip christian church clay clement close cole conn cook cooper cross crystal daisy
    dale daly dash dawn day dean dell destiny dick dixie dolly dove drew duke dusty earl east eden ember english eve faith fern
    field finn fisher flint flora ford forest forrest foster fox frank franklin free french frost gale gene gentry german glass
    glen golden good grace grant gray green grey grove guy hale hall harmony harper haven hazel heath heather heidi henry hill
    hive holiday holly honey hope hunt hunter iris iron ivory ivy jack jade jasmine jasper jean jersey jewel joy judge july june
    junior just justice kay keen key kim king kit knight knox lake lance land lane lark laurel law leaf lee lily linden link
    little lodge long lot lotus love low luck lucky luna mace major mark markets marsh martin mason maverick max may mercy merit
    mild mile miles miller mills mint miss moon moore more moss myrtle nash neat newton nick noble nova oak olive opal page
    paige park parker parks parrot pat patience patsy peace pearl penny pepper perry piper pierce pike pine pitt pool poppy
    porter post potter power presley price pride prince prudence quick quinn rain randy ranger raven ray read red reed reese
    reid rich rider ridge river rivers roach rob robin rock rocky rod roman rose rosemary rowan ruby rush rusty sage salt sandy
    sawyer scout sergeant serge shade sharp shepherd short silver skip sky skye slade small smart smith snow solo song spark
    spring squire star steel stella sterling stone storm street strong sue summer summers sun sunny swan sweet tab tanner taylor
    teal terry thorn tiger timber tom topaz trace tracy trinity trip troy tucker turner valentine van vance venture vera victor
    victory vine viola violet wade walker wall waller ward warren water waters watt weaver webb wells west wheeler white wild
    will willow wills winter winters wolf wood woods worth wren wright young zion
    ernst klein lang kurz gross groß schwarz weiss weiß braun koch müller schmidt bauer fischer weber meier stein berg vogel
    wolf sommer winter herbst engel kaiser könig richter schneider schulz zimmermann hofmann becker busch frei fuchs hahn kraus
    petit blanc noir roux leroy roy marchand boucher berger fontaine dupont rivière moulin champ aimé parfait
    alegre blanco bueno campos cruz delgado flores guerra iglesias leal león luna mar paz rey rico rojo rosa santos sol torres
    vega bianchi bruno conti costa ferrari fiore gallo greco leone marino neri ricci rossi russo serra villa bos dekker jong
    kok kuiper smit visser vries""".split()  # noqa: SIM905 - a list of words reads best as words
)
_CUES = frozenset(
    """hi hello dear hey hallo liebe lieber bonjour salut hola ciao beste olá mr mrs ms miss dr prof herr frau mme m madame
    monsieur señor señora sr sra thanks thank danke merci gracias grazie bedankt regards gruß grüße from by with told asked
    spoke contacted sincerely cc attn colleague agent manager technician cheers von mit bei par avec""".split()  # noqa: SIM905
)
_GREETINGS = frozenset(("hi", "hello", "dear", "hey", "mr", "mrs", "ms", "thanks", "regards"))
_TIMES = frozenset(
    ("may", "april", "june", "july", "august", "summer", "winter", "spring", "autumn", "day", "dawn")
)
_NOT_AFTER = frozenset(
    """it me us them you your my his her our their the a an this that these those be been have has i we he she they not to
    as for what when how is are was were all any es mir uns ihn sie das die der""".split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_NAME = r"([^\W\d_a-zà-ÿ][\w'’-]+(?: (?:(?:van|von|de|da|del|di|der|den|el|la) ){0,2}[^\W\d_a-zà-ÿ][\w'’-]+){0,2})"
_STATED = (
    re.compile(
        rf"\b(?:[Mm]y (?:full )?name(?:'s| is)|[Ii]ch hei(?:ß|ss)e|[Mm]ein [Nn]ame ist|[Jj]e m'appelle|[Mm]on nom est|[Mm]e llamo|[Mm]i nombre es"
        rf"|[Mm]i chiamo|[Ii]l mio nome è|[Ii]k heet|[Mm]ijn naam is|[Mm]eu nome é|[Cc]hamo-me|[Jj]ag heter|[Nn]azywam się)\s+{_NAME}"
    ),
    re.compile(
        rf"\b(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herrn?|Frau|Mme|Monsieur|Madame|Señora?|Sra?|Signora?|Dhr|Mevr|Pan|Pani)\b\.? {_NAME}"
    ),
    re.compile(
        rf"\b(?:[Tt]his is|[Hh]ier ist|[Ii]ci) {_NAME}(?= (?:from|of|at|calling|speaking|here|von|de|à|chez)\b)"
    ),
    re.compile(
        rf"^(?:Hi|Hello|Hey|Dear|Hallo|Liebe[r]?|Bonjour|Salut|Hola|Ciao|Gentile|Beste|Olá|Caro|Cara|Hej|Cześć) {_NAME}(?=\s*(?:[,!:]|$|\n))",
        re.M,
    ),
)
_SIGNS = (
    ("ame is", "ame's", "ame ist", "ch hei", "m'appelle", "nom est", "llamo", "nombre es", "chiamo", "nome è", "k heet", "naam is",
     "nome é", "hamo-me", "g heter", "azywam się"),
    ("Mr", "Ms", "Mx", "Dr", "Prof", "Herr", "Frau", "Mme", "Monsieur", "Madame", "Señor", "Sr", "Signor", "Dhr", "Mevr", "Pan"),
    ("his is ", "ier ist ", "ci "),
    ("",),
)  # fmt: skip
"""What a text must hold for the pattern at the same place to match: looked for much faster."""
_NOBODY = re.compile(
    r"(?:Support|Team|Sir|Madam|All|There|Everyone|Folks|Customer|Service|Help|Desk|Colleagues?|Kolleg\w*|Friends?|Hiring|Community|Admins?"
    r"|Tous|Todos|Tutti|Zusammen|Again|World|Sales|Billing|Acme|IT|HR)\b"
)


class People:
    """The names that a file's columns give: full ones count in every row, single words in their own row."""

    def __init__(self, rows: Sequence[Ticket]) -> None:
        lower: Counter[str] = Counter()
        names: set[str] = set()
        for number, row in enumerate(rows if any(row.names for row in rows) else (), 1):
            lower.update({word for word in _WORD.findall(row.text) if word[0].islower()})
            names.update(row.names)
            if len(lower) > MAX_WORDS:  # rare ones go: they cannot become common but by a tenth of the share
                least = max(1, RARE * number)
                lower = Counter({word: count for word, count in lower.items() if count > least})
        most = max(2, COMMON_SHARE * len(rows))
        self._common = frozenset(word for word, count in lower.items() if count > most)
        self._full = frozenset(words for name in names if len(words := name_words(name)) in (2, 3))

    @cached_property
    def fingerprint(self) -> str:
        """What these people are, in few characters: the same rows and names give the same."""
        everything = [*sorted(self._common), "", *sorted(" ".join(words) for words in self._full)]
        return hashlib.sha256("\n".join(everything).encode()).hexdigest()

    def spans(self, text: str, own: Sequence[str]) -> Iterable[Span]:
        """Where people are named: introduced by words, full names of anyone, words of the row's own people."""
        for pattern, signs in zip(_STATED, _SIGNS, strict=True):
            for match in pattern.finditer(text) if any(sign in text for sign in signs) else ():
                if not _NOBODY.match(match[1]):
                    yield Span(*match.span(1), "NAME")
        single = {word for name in own for word in name_words(name) if len(word) >= SHORTEST_NAME}
        words = list(_WORD.finditer(text)) if single or self._full else []
        if self._full:
            yield from self._full_names(words)
        for at, match in enumerate(words):
            word = match[0].removesuffix("'s").removesuffix("’s")
            if word.casefold() in single and not word[0].islower() and self._is_name(words, at, text):
                yield Span(match.start(), match.start() + len(word), "NAME")

    def _full_names(self, words: Sequence[re.Match[str]]) -> Iterator[Span]:
        for size in (2, 3):
            for at in range(len(words) - size + 1):
                stretch = words[at : at + size]
                key = tuple(_bare(word[0]) for word in stretch)
                if key not in self._full:
                    continue
                is_risky = any(word in NAMES_THAT_ARE_WORDS or word in self._common for word in key)
                if not is_risky or not any(word[0][0].islower() for word in stretch):
                    yield Span(
                        stretch[0].start(), stretch[-1].end() - (len(stretch[-1][0]) - len(key[-1])), "NAME"
                    )

    def _is_name(self, words: Sequence[re.Match[str]], at: int, text: str) -> bool:
        """Whether a capitalised word of the row's people is used as a name there."""
        word = _bare(words[at][0])
        if word not in NAMES_THAT_ARE_WORDS and word not in self._common:
            return True
        before = words[at - 1] if at else None
        after = words[at + 1] if at + 1 < len(words) else None
        if before is None or re.search(
            r"[.!?:\n,;(]", text[before.end() : words[at].start()].replace("Mr.", "")
        ):
            return False  # at the start of a sentence or a clause every word may have a capital
        if (
            after is not None
            and _bare(after[0]) in _NOT_AFTER
            and not re.search(r"[,.!?\n]", text[words[at].end() : after.start()])
        ):
            return False
        return _bare(before[0]) in (_GREETINGS if word in _TIMES else _CUES)


def _bare(word: str) -> str:
    return word.removesuffix("'s").removesuffix("’s").casefold()


def name_words(name: str) -> tuple[str, ...]:
    """The name's words; none for ids and addresses, which others look for."""
    if re.search(r"[\d@/_]", name):
        return ()
    return tuple(word.casefold() for word in _WORD.findall(name))
