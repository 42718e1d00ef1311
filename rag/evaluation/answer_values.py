"""Made values for the slots of rag/data/answering: names, years, dates, sums, codes and versions."""

from __future__ import annotations

import random
import re

SLOT = re.compile(r"\{(\w+)\}")
_SYLLABLES = [
    "bar",
    "bel",
    "bran",
    "cal",
    "cor",
    "dan",
    "dor",
    "el",
    "fen",
    "gal",
    "gor",
    "har",
    "hol",
    "il",
    "jas",
    "kel",
    "kin",
    "lan",
    "lor",
    "mar",
    "mel",
    "nor",
    "ol",
    "pen",
    "quar",
    "ran",
    "ros",
    "sel",
    "sor",
    "tal",
    "ten",
    "ul",
    "van",
    "ver",
    "wes",
    "wil",
    "yar",
    "zen",
]
_ENDINGS = [
    "a",
    "by",
    "den",
    "don",
    "en",
    "er",
    "ford",
    "ia",
    "ic",
    "is",
    "low",
    "mere",
    "mont",
    "o",
    "ova",
    "ley",
    "port",
    "son",
    "th",
    "um",
    "wick",
]
_FIRST = [
    "Ada",
    "Ben",
    "Clara",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kemal",
    "Lucia",
    "Mateo",
    "Nadia",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Stefan",
    "Tara",
    "Ulla",
    "Viktor",
    "Wanda",
    "Yusuf",
    "Zoe",
    "Aiko",
    "Bram",
    "Chidi",
    "Dora",
    "Emeka",
]
_LAST = [
    "Abara",
    "Bergmann",
    "Castell",
    "Dufour",
    "Eriksen",
    "Farkas",
    "Gallo",
    "Hansen",
    "Ito",
    "Jansen",
    "Kovacs",
    "Larsen",
    "Moreau",
    "Novak",
    "Okafor",
    "Petit",
    "Quist",
    "Rossi",
    "Schmidt",
    "Tanaka",
    "Ueda",
    "Vogel",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zimmer",
    "Holm",
    "Fabre",
]
_CITIES = [
    "Lisbon",
    "Graz",
    "Turin",
    "Leeds",
    "Ghent",
    "Porto",
    "Oslo",
    "Riga",
    "Basel",
    "Nantes",
    "Cork",
    "Malmo",
    "Bergen",
    "Seville",
    "Lyon",
    "Dresden",
    "Tartu",
    "Izmir",
    "Padua",
    "Utrecht",
    "York",
    "Bristol",
    "Vienna",
    "Prague",
    "Zagreb",
    "Sofia",
    "Perth",
    "Boston",
    "Denver",
    "Austin",
]
_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_LISTS = {
    "j": ("Chair", "Treasurer", "Secretary", "Member", "Head of operations"),
    "part": ("Hose", "Filter", "Pump", "Lid with hinge", "Drive belt", "Gasket"),
    "fault": ("Motor too hot", "Sensor not found", "Water low", "Door open", "Link lost", "Fan blocked"),
    "remedy": ("Let it cool", "Call the service", "Fill the tank", "Close the door", "Switch off and on"),
    "type": ("string", "integer", "boolean", "date"),
    "yn": ("yes", "no"),
    "warn": ("not with milk", "may make you sleepy", "keep cool", "not when pregnant"),
    "grape": ("Riesling", "Merlot", "Tempranillo", "Syrah", "Silvaner"),
    "os": ("Linux", "Windows 11", "macOS 14", "Debian 12"),
}  # fmt: skip


class Values:
    """The values of one fact: a slot gets one at its first use and keeps it; no two slots have the same."""

    def __init__(self, chance: random.Random, given: dict[str, str] | None = None) -> None:
        self._chance = chance
        self._values = dict(given or {})

    def __getitem__(self, slot: str) -> str:
        if slot not in self._values:
            value = _make(slot, self._chance)
            for _ in range(20):
                if value not in self._values.values():
                    break
                value = _make(slot, self._chance)
            self._values[slot] = value
        return self._values[slot]


def fill(template: str, values: Values) -> str:
    """The template with every slot in it filled."""
    return SLOT.sub(lambda match: values[match[1]], template)


def _word(chance: random.Random) -> str:
    word = "".join(chance.sample(_SYLLABLES, chance.choice((1, 1, 2)))) + chance.choice(_ENDINGS)
    return word[:10]


def _make(slot: str, chance: random.Random) -> str:
    kind = slot.rstrip("0123456789")
    if kind in _LISTS:
        return chance.choice(_LISTS[kind])
    makers = {
        "W": lambda: _word(chance).capitalize(),
        "w": lambda: _word(chance) if slot != "w" and chance.random() < 0.3 else _word(chance).capitalize(),
        "C": lambda: chance.choice(_CITIES),
        "p": lambda: f"{chance.choice(_FIRST)} {chance.choice(_LAST)}",
        "y": lambda: str(chance.choice((chance.randint(1700, 1990), chance.randint(1990, 2026)))),
        "d": lambda: f"{chance.randint(1, 28)} {chance.choice(_MONTHS)}",
        "t": lambda: f"{chance.randint(6, 23)}:{chance.choice(('00', '15', '30'))}",
        "m": lambda: _money(chance),
        "n": lambda: str(chance.randint(2, 60)),
        "N": lambda: f"{chance.randint(100, 99_000):,}" if chance.random() < 0.6 else str(chance.randint(100, 9000)),
        "v": lambda: f"{chance.randint(1, 12)}.{chance.randint(0, 12)}",
        "code": lambda: f"{chance.choice('ABEFHKPRTX')}{chance.choice(('', 'Q', 'R-', '-'))}{chance.randint(1, 999)}",
    }  # fmt: skip
    return makers[kind]()


def _money(chance: random.Random) -> str:
    amount = chance.choice((chance.randint(2, 400), chance.randint(200, 9900) / 100))
    number = f"{amount:.2f}" if isinstance(amount, float) else str(amount)
    return chance.choice((f"€{number}", f"{number} euros", f"£{number}", f"${number}", f"{number} pounds"))
