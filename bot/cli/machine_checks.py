"""The machine checks of `trainwise doctor`: Python, processor, user, packages, port and proxy.

Each function checks one thing, never raises, and shows no password. Its input can be passed, so that a test can simulate
another machine.
"""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from bot.cli.findings import Finding, Level
from bot.extras import missing_modules
from bot.settings import Settings

SUPPORTED = ((3, 11), (3, 14))
CPUINFO = Path("/proc/cpuinfo")
PROXY_TIMEOUT_S = 3.0


def python(_: Settings, version: tuple[int, ...] = sys.version_info[:2]) -> Finding:
    """Checks that every package has a wheel for this Python (deploy/wheels.py)."""
    text = f"{version[0]}.{version[1]} on {platform.system()} {platform.machine()}"
    low, high = SUPPORTED
    if version[:2] < low:
        return Finding(
            "python", Level.FAIL, text, "Install Python 3.11 or newer and make the environment anew."
        )
    if version[:2] > high:
        fix = "Not every package has a wheel for it yet: take Python 3.11 to 3.14, or a compiler may be asked for."
        return Finding("python", Level.WARN, text, fix)
    return Finding("python", Level.OK, text)


def processor(_: Settings, cpuinfo: Path = CPUINFO) -> Finding:
    """Lists the processor's vector instructions; without AVX2 an answer takes several times as long."""
    if not cpuinfo.is_file():  # macOS: Apple silicon has its own, and the wheels for it use them
        return Finding("processor", Level.OK, platform.machine())
    match = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", cpuinfo.read_text(errors="replace"), re.MULTILINE)
    flags = set(match[1].split()) if match else set()
    if not flags or platform.machine() not in ("x86_64", "AMD64"):
        return Finding("processor", Level.OK, platform.machine())
    if "avx2" not in flags:
        fix = "It works, slowly. Take a machine of the last ten years for a busy bot."
        return Finding("processor", Level.WARN, "no AVX2", fix)
    names = {"avx512f": "AVX-512", "avx512_vnni": "VNNI", "amx_tile": "AMX"}
    more = [name for flag, name in names.items() if flag in flags]
    return Finding(
        "processor", Level.OK, f"AVX2{', ' + ', '.join(more) if more else ', no AVX-512 (not needed)'}"
    )


def user(settings: Settings, uid: int | None = None) -> Finding:
    """Shows the user; as root, other users cannot write into the home unless it is open to all."""
    number = uid if uid is not None else os.getuid() if hasattr(os, "getuid") else 1
    if number:
        return Finding("user", Level.OK, "not root")
    owner = 0
    with suppress(OSError):
        owner = settings.home.stat().st_uid
    if owner:
        fix = f"Run it as the owner of {settings.home}, or files of root will be in that user's way."
        return Finding("user", Level.WARN, f"root, in a home of user {owner}", fix)
    return Finding("user", Level.OK, "root; what reads foreign documents gives its rights up")


def packages(_: Settings) -> Finding:
    """Lists the installed extras; the bot answers without any."""
    missing = [extra for extra in ("documents", "tickets") if missing_modules(extra)]
    if not missing:
        return Finding("packages", Level.OK, "what reads documents and tickets is installed")
    fix = f"pip install 'trainwise[{','.join(missing)}]', where this machine shall read them."
    return Finding("packages", Level.OFF, f"without {', '.join(missing)}", fix)


def port(settings: Settings) -> Finding:
    """Checks that the port of HTTP mode is free, or used by our own running bot."""
    if settings.slack_mode != "http":
        return Finding("port", Level.OFF, "none is needed: Socket Mode connects outwards")
    host, number = settings.http_host, settings.http_port
    try:
        with socket.create_server((host, number)):
            return Finding("port", Level.OK, f"{host}:{number} is free")
    except OSError as error:
        if is_ours(host, number):
            return Finding("port", Level.OK, f"a bot answers at {host}:{number}")
        fix = "Set TRAINWISE_HTTP_PORT to a free one, or end what listens there."
        return Finding("port", Level.FAIL, f"{host}:{number}: {error.strerror or 'not to be had'}", fix)


def is_ours(host: str, number: int) -> bool:
    """Whether a bot's health endpoint answers at this address."""
    import httpx

    try:
        answer = httpx.get(f"http://{host}:{number}/health", timeout=PROXY_TIMEOUT_S, trust_env=False)
        return answer.is_success
    except httpx.HTTPError:
        return False


def proxy(_: Settings) -> Finding:
    """Checks that the environment's proxy can be reached, which Slack and language model calls use."""
    address = getproxies().get("https") or getproxies().get("all")
    if not address:
        return Finding("proxy", Level.OFF, "none: HTTPS_PROXY is not set")
    parts = urlsplit(address if "://" in address else f"http://{address}")
    where = f"{parts.hostname}:{parts.port or 80}"
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), PROXY_TIMEOUT_S):
            return Finding("proxy", Level.OK, f"{where} answers")
    except OSError as error:
        fix = "Correct HTTPS_PROXY, or unset it; addresses that need no proxy go into NO_PROXY."
        return Finding("proxy", Level.FAIL, f"{where}: {error.strerror or 'no answer'}", fix)
