"""A real head and two nodes in namespaces of their own, the real controller, and one kill at a time; marked slow.

Needs Linux with the right to make namespaces (root) and ray beside this Python: pip install -c constraints.txt
'ray[default,train]'. About two minutes a drill on two busy cores, and 4 GB.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.ray_cluster import NAMESPACES, ROOT
from tests.platforms.ray_kind import SAVE_EVERY

pytestmark = pytest.mark.slow
DRILLS = ("node", "driver", "head", "control", "unanswered", "cancel", "cancel-in-start")


def has_namespaces() -> bool:
    """Whether this machine lets us make them."""
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.skipif(not has_namespaces(), reason="no right to make namespaces")
def test_no_kill_on_a_real_cluster_loses_doubles_or_leaves_a_training(tmp_path: Path) -> None:
    """Each training ends as it should, on both nodes, at most one save interval is repeated, nothing runs a minute after."""
    home = Path("/tmp") / tmp_path.name  # Ray's sockets allow no long paths
    shutil.rmtree(home, ignore_errors=True)
    words = [*NAMESPACES, sys.executable, "-m", "tests.platforms.ray_drills", str(home), *DRILLS]
    try:
        run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=1700)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["drill"] for line in lines[1:]] == list(DRILLS), run.stderr[-2000:]
    assert [problem for line in lines[1:] for problem in problems_of(line)] == []


def problems_of(drill: dict[str, Any]) -> list[str]:
    """What a drill must not show."""
    is_cancel = drill["drill"].startswith("cancel")
    checks = {
        "it ended otherwise": drill["state"] == ("cancelled" if is_cancel else "succeeded"),
        "steps are missing": is_cancel or drill["last_step"] == 60,
        "more than a save interval was repeated": drill["repeated_steps"] <= SAVE_EVERY,
        "two submissions trained at once": not drill["doubled"],
        "not all ranks took part": drill["ranks"] in ([2], []),
        "something runs a minute later": drill["living_60_s_later"] == 0,
        "files were left": not drill["left_files"],
        "sent more often than it was lost": drill["creates"] == drill["submissions"],
    }
    return [f"{drill['drill']}: {text}" for text, is_so in checks.items() if not is_so]
