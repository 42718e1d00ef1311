"""Collects the entries of a plug-in folder: one file (or sub-package) is one entry; there is no manual list."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Variable:
    """One setting of a plug-in, read from the environment (a secret also from the file that NAME_FILE names)."""

    name: str
    purpose: str
    secret: bool = False
    default: str | None = ""  # None: without it the plug-in is not configured


def entries_of(package: str, attribute: str, kind: type[T]) -> list[T]:
    """The value `attribute` of each module in `package` that has one, in the order of the files' names.

    Imports every module there, so those must be light. TypeError for a value of another kind.
    """
    entries = []
    for module in pkgutil.iter_modules(sys.modules[package].__path__):
        value = getattr(importlib.import_module(f"{package}.{module.name}"), attribute, None)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise TypeError(f"{package}.{module.name}.{attribute} must be a {kind.__name__}.")
        entries.append(value)
    return entries
