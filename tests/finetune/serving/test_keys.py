"""Keys and limits: two keys a name, nobody else, a sentence for each mistake in the file, and a bucket a minute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finetune.serving.server.keys import AccessControl, KeysError, read_keys

OLD, NEW, OTHER = "old-key-of-24-characters", "new-key-of-24-characters", "another-of-24-characters"


def key_file(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    """A file of keys with a mode."""
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(mode)
    return file


def bearer(key: str) -> dict[str, str]:
    """The header that carries a key."""
    return {"authorization": f"Bearer {key}"}


def test_two_keys_of_one_name_are_valid_at_once(tmp_path: Path) -> None:
    """For rotation; both belong to the same name, and nothing else gets in."""
    access = AccessControl(
        key_file(tmp_path, f"# clients\nzendesk {OLD}\nzendesk {NEW}\njira {OTHER} 5\n"), 60
    )
    names = [owner.name for key in (OLD, NEW, OTHER) if (owner := access.owner(bearer(key)))]
    assert names == ["zendesk", "zendesk", "jira"]
    for headers in (
        {},
        bearer(""),
        bearer(OLD[:-1]),
        {"authorization": OLD},
        bearer("ключ"),
        bearer("\udcff"),
    ):
        assert access.owner(headers) is None


def test_a_changed_file_counts_at_once_and_a_broken_one_does_not(tmp_path: Path) -> None:
    """The old key goes out; a file with a mistake leaves the keys as they were."""
    file = key_file(tmp_path, f"a {OLD}\n")
    access = AccessControl(file, 60)
    file.write_text(f"a {NEW}\n")
    os.utime(file, (1, 1))
    assert access.owner(bearer(OLD)) is None
    assert access.owner(bearer(NEW)) is not None
    file.write_text("a short\n")
    os.utime(file, (2, 2))
    assert access.owner(bearer(NEW)) is not None


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("", 0o600, "holds no key"),
        ("a short", 0o600, "openssl rand"),
        ("a", 0o600, "write `NAME KEY`"),
        (f"a {OLD} fast", 0o600, "`fast` is no number"),
        (f"a {OLD} 0", 0o600, "`0` is no number"),
        (f"a {OLD}\na {NEW}\na {OTHER}", 0o600, "more than 2 keys"),
        (f"a {OLD}", 0o644, "chmod 600"),
    ],
)
def test_a_mistake_in_the_file_is_named_without_the_key(
    tmp_path: Path, text: str, mode: int, message: str
) -> None:
    """One sentence says what to change."""
    with pytest.raises(KeysError, match=message) as error:
        read_keys(key_file(tmp_path, text, mode), 60)
    assert OLD not in str(error.value)


def test_a_name_is_held_to_its_limit_whichever_key_it_uses(tmp_path: Path) -> None:
    """A minute's worth at once, then evenly; the wait is told in seconds."""
    now = [0.0]
    access = AccessControl(key_file(tmp_path, f"a {OLD} 6\na {NEW} 6\n"), 60, lambda: now[0])
    first, second = access.owner(bearer(OLD)), access.owner(bearer(NEW))
    assert first is not None
    assert second is not None
    assert [access.wait_s(key) for key in (first, second, first, second, first, second)] == [0.0] * 6
    assert access.wait_s(first) == pytest.approx(10)
    now[0] = 10
    assert access.wait_s(second) == 0.0
    assert access.wait_s(second) == pytest.approx(10)
