"""A failed start of the local stack leaves no process behind."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from bot.demo.stack import local_stack
from bot.playground.errors import PlaygroundError


def test_a_port_in_use_is_told_and_the_queue_ends_again(tmp_path: Path) -> None:
    """The message says what to do; the Redis that was up already is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PlaygroundError, match="is taken"), local_stack(tmp_path, port=port):
            pass
    servers = [
        p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())
    ]
    assert servers == []
