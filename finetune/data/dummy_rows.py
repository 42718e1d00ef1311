"""Finds dummy rows that somebody typed to try the form: "test 1", "asdf", "please ignore". Pure; people decide.

Covers texts of a few such words; does not cover a test that is written as a real ticket.
"""

from __future__ import annotations

import re

MAX_CHARACTERS, MAX_WORDS = 80, 8
TRIES = frozenset(
    """test tests testing tester testen testticket testmail testfall testeintrag testanfrage prueba pruebas teste testes essai
    prova asdf asdfasdf asdfgh asdfghjkl qwerty qwertz qwertyuiop sdf fgh dfg lorem ipsum foo bar foobar blah bla blabla
    dummy テスト 测试 測試 тест""".split()  # noqa: SIM905 - a list of words reads best as words
)
BESIDE = frozenset(
    """a an this is it just only my the please pls ignore ticket email mail e message request issue hello hi dear hey do not
    delete for from of with and one two number no nr new another again ok okay ein eine das ist nur bitte ignorieren nachricht un
    une una esto es de ceci est por favor ignorar case entry form sample dolor sit amet""".split()  # noqa: SIM905
)


def is_dummy_text(text: str) -> bool:
    """Whether the text holds only dummy words; numbers and signs are ignored."""
    if len(text) > MAX_CHARACTERS:
        return False
    words = re.findall(r"[^\W\d_]+", text.casefold())
    if not words:
        return False
    if len(words) > MAX_WORDS:
        return False
    if any(word in TRIES for word in words):
        return all(word in TRIES or word in BESIDE for word in words)
    return len(words) == 1 and len(words[0]) > 2 and len(set(words[0])) == 1  # "xxxx"
