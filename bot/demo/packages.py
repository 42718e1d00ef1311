"""Installs packages into an environment with uv, which follows the settings that pip has here, or with pip.

    python packages.py [--quiet] [--fetch-uv] ENVIRONMENT ARGUMENTS [ARGUMENTS ...]

Each ARGUMENTS is one installation as pip would be told it ("-c constraints.txt -e ."). An environment that is missing
is created. uv needs a fifth of pip's CPU-seconds, but reads none of pip's settings: they are translated here. Where pip
has a setting that uv cannot follow, or uv cannot be had or fails, pip installs, and a line says so. Only the standard
library is used, since nothing else is installed yet.
"""

from __future__ import annotations

import argparse
import ast
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

UV = "uv==0.13.9"
PIP_OF_OTHERS = (22, 3)  # from here on pip installs into the environment of another Python
YES = frozenset({"1", "true", "yes", "on"})
# By the name of pip's setting: the variables of uv, and what separates several values.
VARIABLES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "index-url": (("UV_DEFAULT_INDEX",), ""),
    "extra-index-url": (("UV_INDEX",), " "),
    "find-links": (("UV_FIND_LINKS",), ","),
    "constraint": (("UV_CONSTRAINT",), " "),
    "build-constraint": (("UV_BUILD_CONSTRAINT",), " "),
    "trusted-host": (("UV_INSECURE_HOST",), " "),
    "cert": (("SSL_CERT_FILE",), ""),
    "client-cert": (("SSL_CLIENT_CERT",), ""),
    "proxy": (("HTTPS_PROXY", "HTTP_PROXY"), ""),
    "timeout": (("UV_HTTP_TIMEOUT",), ""),
    "default-timeout": (("UV_HTTP_TIMEOUT",), ""),
    "retries": (("UV_HTTP_RETRIES",), ""),
}
SWITCHES: Mapping[str, tuple[str, str]] = {
    "no-index": ("UV_NO_INDEX", "1"),
    "no-cache-dir": ("UV_NO_CACHE", "1"),
    "pre": ("UV_PRERELEASE", "allow"),
    "break-system-packages": ("UV_BREAK_SYSTEM_PACKAGES", "1"),
}
# They change the output or the storage, not what is installed.
WITHOUT_EFFECT = frozenset(
    [
        "cache-dir",
        "compile",
        "config-file",
        "debug",
        "disable-pip-version-check",
        "isolated",
        "log",
        "no-color",
        "no-compile",
        "no-input",
        "no-python-version-warning",
        "no-warn-script-location",
        "prefer-binary",
        "progress-bar",
        "quiet",
        "require-virtualenv",
        "root-user-action",
        "use-pep517",
        "verbose",
    ]
)
PLACES = ("index-url", "extra-index-url", "find-links", "no-index")
PLACES_OF_UV = (
    *("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"),
    *("UV_FIND_LINKS", "UV_OFFLINE"),
)


def pip_settings(listing: str) -> dict[str, str]:
    """pip's settings by name from the output of `pip config list`; the environment overrides files; empty values are left out."""
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            if line.startswith(section) and "=" in line:
                name, value = line.removeprefix(section).split("=", 1)
                if text := str(ast.literal_eval(value)):
                    settings[name] = text
    return settings


def uv_variables(
    settings: Mapping[str, str], environ: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """The environment in which uv follows pip's settings, and the names of those that it cannot follow.

    Like pip, uv takes the best version of all indexes and folders, so a CPU wheel of torch in a folder goes before
    PyPI's of several gigabytes. Where nobody set a place for packages, for pip or in `environ` for uv, uv chooses the
    build of torch for this machine.
    """
    variables = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    foreign = []
    for name, value in settings.items():
        if name in VARIABLES:
            targets, separator = VARIABLES[name]
            text = separator.join(value.split()) if separator else value.strip()
            variables |= dict.fromkeys(targets, text)
        elif name in SWITCHES:
            if value.strip().lower() in YES:
                variables |= [SWITCHES[name]]
        elif name not in WITHOUT_EFFECT:
            foreign.append(name)
    own = any((environ or {}).get(name) for name in PLACES_OF_UV)
    if not own and not any(name in settings for name in PLACES):
        variables["UV_TORCH_BACKEND"] = "auto"
    return variables, foreign


class Environment:
    """A virtual environment and its installers; `say` prints what differs from the usual way."""

    def __init__(self, folder: Path, quiet: bool = False) -> None:
        self.folder, self.quiet = folder, quiet
        self.python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        if folder.resolve() == Path(sys.prefix).resolve():
            self.python = Path(sys.executable)

    def create(self) -> int:
        """Creates the environment, without pip if this Python's pip can install into it (saves 4 CPU seconds); venv's status."""
        options = ["--without-pip"] if has_recent_pip() else []
        return subprocess.run(
            [sys.executable, "-m", "venv", *options, str(self.folder)], check=False
        ).returncode

    def pip(self, *arguments: str) -> list[str]:
        """The pip command: the environment's own, or this Python's."""
        if any(self.folder.glob("lib/python*/site-packages/pip")):
            return [str(self.python), "-m", "pip", *arguments]
        return [sys.executable, "-m", "pip", "--python", str(self.python), *arguments]

    def uv(self, fetch: bool) -> str | None:
        """The path of uv: the environment's, the machine's, or one that pip installs now if `fetch`; else None."""
        own = shutil.which("uv", path=str(self.python.parent)) or shutil.which("uv")
        if own or not fetch:
            return own
        command = self.pip("install", "-q", "--no-deps", "--no-compile", "--disable-pip-version-check", UV)
        subprocess.run(command, capture_output=True, check=False)
        return shutil.which("uv", path=str(self.python.parent))

    def install(self, installations: Sequence[str], fetch_uv: bool) -> int:
        """Runs the installations one after another; returns the exit status of the first that failed with pip too, or 0."""
        env = {**os.environ, "PIP_QUIET": "0"}  # a quiet pip lists nothing
        listing = subprocess.run(
            self.pip("config", "list"), env=env, capture_output=True, text=True, check=False
        )
        is_unread = listing.returncode != 0 and "No module named pip" not in listing.stderr
        variables, foreign = uv_variables(pip_settings(listing.stdout), os.environ)
        uv = None if foreign or is_unread else self.uv(fetch_uv)
        if is_unread:
            say("pip installs: its settings cannot be listed.")
        elif foreign:
            say(f"pip installs: uv cannot follow its setting {', '.join(foreign)}.")
        elif uv is None and fetch_uv:
            say(f"pip installs, which takes longer: {UV} could not be had.")
        for arguments in installations:
            if uv is None or self._run_uv(uv, arguments, variables):
                status = self._run_pip(arguments)
                if status:
                    return status
        return 0

    def _run_uv(self, uv: str, arguments: str, variables: Mapping[str, str]) -> int:
        no_index = ["--no-index"] if "UV_NO_INDEX" in variables else []  # uv reads no such variable
        command = [uv, "pip", "install", "--python", str(self.python), *no_index, *shlex.split(arguments)]
        env = {**os.environ, **{k: v for k, v in variables.items() if k[:3] != "UV_" or k not in os.environ}}
        try:
            status = subprocess.run([*command, *self._quietly], env=env, check=False).returncode
        except OSError as error:  # a damaged one
            status, reason = 126, str(error.strerror)
        else:
            reason = f"exit {status}"
        if status:
            say(f"uv failed ({reason}); pip tries the same now.")
        return status

    def _run_pip(self, arguments: str) -> int:
        options = ["--no-compile", "--disable-pip-version-check", "--progress-bar", "off", *self._quietly]
        return subprocess.run(self.pip("install", *options, *shlex.split(arguments)), check=False).returncode

    @property
    def _quietly(self) -> list[str]:
        return ["-q"] if self.quiet else []


def has_recent_pip() -> bool:
    """Whether this Python's pip can install into another environment."""
    try:
        numbers = version("pip").split(".")
    except PackageNotFoundError:
        return False
    return tuple(map(int, numbers[:2])) >= PIP_OF_OTHERS


def say(text: str) -> None:
    """Prints one line for the person."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(words: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quiet", action="store_true", help="print errors alone")
    parser.add_argument("--fetch-uv", action="store_true", help="bring uv where it is missing")
    parser.add_argument("environment", type=Path)
    parser.add_argument("installations", nargs="*", metavar="ARGUMENTS")
    options = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the installer that runs, too
    environment = Environment(options.environment, options.quiet)
    if not environment.python.exists() and (status := environment.create()):
        return status
    return environment.install(options.installations, options.fetch_uv)


if __name__ == "__main__":
    sys.exit(main())
