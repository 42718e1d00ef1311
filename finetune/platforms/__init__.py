"""The registry of platforms: a file in this folder with a `PLATFORM` is one; see docs/howto/add-a-platform.md.

Importing it loads no client: a platform imports its own where it connects.
"""

from __future__ import annotations

from collections.abc import Mapping

from finetune.platforms.contract import Platform
from finetune.registry import entries_of

PLATFORMS: Mapping[str, Platform] = {one.name: one for one in entries_of(__name__, "PLATFORM", Platform)}
