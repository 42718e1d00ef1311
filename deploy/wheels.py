"""Asks the package index whether all that the product needs has a wheel for other machines, so none needs a compiler.

    python deploy/wheels.py [--json]

Packages are those that an installation of `trainwise[train]` in this environment rests on, in the versions of
constraints.txt; machines are Linux on x86-64 and macOS on Apple silicon with Python 3.11 to 3.14. A wheel for one of
these Pythons, for the stable ABI, or for any machine counts. Exits 1 where a package has none, and names it.
The index is pip's (PIP_INDEX_URL or its configuration), read as the Simple API gives it (PEP 691 or HTML).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import httpx
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[1]
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
LINUX = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)),
    *("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"),
)
MACHINES = {"linux x86-64": LINUX, "macOS arm64": tuple(mac_platforms((15, 0), "arm64"))}
WITHOUT = {
    "trainwise",
    "rouge-score",
}  # ourselves, and one of pure Python that comes as source: no compiler is asked for


def closure(root: str, extra: str) -> set[str]:
    """The names of all packages that `root[extra]` rests on, as installed here."""
    names: set[str] = set()
    todo = [(root, frozenset({extra, "documents", "tickets"}))]
    while todo:
        name, extras = todo.pop()
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": one}) for one in extras | {""}):
                continue
            key = canonicalize_name(requirement.name)
            if key not in names:
                names.add(key)
                todo.append((key, frozenset(requirement.extras)))
    return names - WITHOUT


def pinned_versions() -> dict[str, str]:
    """Name to version, of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonicalize_name(name): version.split(";")[0].strip() for name, version in pairs}


def index_url() -> str:
    """Where pip looks."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    match = re.search(r"(?<!extra-)index-url='([^']+)'", listing)
    return (match[1] if match else "https://pypi.org/simple").rstrip("/")


def tags_of(machine: str, python: tuple[int, int]) -> set[Tag]:
    """Every tag of a wheel that installs there."""
    platforms = MACHINES[machine]
    own = cpython_tags(python, platforms=platforms)
    return {*own, *compatible_tags(python, f"cp{python[0]}{python[1]}", platforms)}


def wheels_of(client: httpx.Client, index: str, name: str, version: str) -> list[set[Tag]]:
    """The tags of each wheel that the index has of this version."""
    response = client.get(
        f"{index}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    )
    response.raise_for_status()
    is_json = "json" in response.headers.get("content-type", "")
    files = (
        [one["filename"] for one in response.json()["files"]]
        if is_json
        else re.findall(r">\s*([^<>\s]+\.whl)\s*<", response.text)
    )
    tags = []
    for file in files:
        try:
            _, found, _, wheel_tags = parse_wheel_filename(file)
        except (InvalidWheelFilename, ValueError):
            continue
        if str(found).split("+")[0] == version:
            tags.append(set(wheel_tags))
    return tags


def gaps() -> Iterator[tuple[str, str, str]]:
    """(package with version, machine, Python) for which the index has no wheel."""
    versions, index = pinned_versions(), index_url()
    names = sorted(name for name in closure("trainwise", "train") if name in versions)
    with (
        httpx.Client(
            follow_redirects=True,
            timeout=60,
            verify=ssl.create_default_context(cafile=os.environ.get("PIP_CERT")),
        ) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        wheels = dict(
            zip(names, pool.map(lambda one: wheels_of(client, index, one, versions[one]), names), strict=True)
        )
    for machine in MACHINES:
        for python in PYTHONS:
            tags = tags_of(machine, python)
            for name, offers in wheels.items():
                if not any(offer & tags for offer in offers):
                    yield f"{name} {versions[name]}", machine, f"{python[0]}.{python[1]}"
    print(f"{len(names)} packages asked for at {index}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    missing = list(gaps())
    for package, machine, python in missing:
        print(f"no wheel: {package} for {machine}, Python {python}")
    if options.json:
        print(json.dumps({"missing": missing}))
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
