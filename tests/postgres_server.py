"""A real PostgreSQL in a folder of its own, with the distribution's programs: killed, started again, followed by a copy.

For tests and benchmarks; `find_programs()` is None where the package is missing (apt-get install postgresql).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil

from bot.demo.stack import free_port

USER = "trainwise"
OPTIONS = "-c fsync=off -c wal_keep_size=64 -c max_wal_senders=4 -c shared_buffers=16MB -c max_connections=60"


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1] if folders else None


class Postgres:
    """One server; `port` is where it listens. fsync is off: a killed process loses nothing of the kernel's, a pulled plug is not tried."""

    def __init__(self, folder: Path, name: str = "first", port: int = 0) -> None:
        programs = find_programs()
        assert programs is not None
        self._programs, self._folder, self._name = programs, folder, name
        self.data, self.port = folder / name, port or free_port()

    def create(self) -> Postgres:
        """An empty cluster, running."""
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres")
        self._run(f"initdb -D {self.data} -A trust -U {USER} --no-sync")
        self.start()
        return self

    def start(self) -> None:
        """Starts the server, also after a kill; returns once it takes questions."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = f"-p {self.port} -k {self._folder} {OPTIONS}"
        self._run(f"pg_ctl -D {self.data} -o '{options}' -l {self._folder}/{self._name}.log -w -t 120 start")

    def kill(self) -> None:
        """kill -9 of the server with all its processes, as when its machine is lost."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            top = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            tree = [top, *top.children(recursive=True)]
            for process in tree:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            psutil.wait_procs(tree, timeout=10)

    def copy(self, name: str, port: int = 0) -> Postgres:
        """A restored copy at `port` that follows this server and has each commit before whoever made it hears of it."""
        copy = Postgres(self._folder, name, port)
        source = f"host=127.0.0.1 port={self.port} user={USER} application_name={name}"
        self._run(f"pg_basebackup -D {copy.data} -d '{source}' -R -X stream -c fast --no-sync")
        copy.start()
        self.ask("alter system set synchronous_standby_names = '*'")
        self.ask("select pg_reload_conf()")
        deadline = time.monotonic() + 60
        while not self.ask("select 1 from pg_stat_replication where sync_state = 'sync'"):
            assert time.monotonic() < deadline, "the copy does not follow"
            time.sleep(0.05)
        return copy

    def promote(self) -> None:
        """The copy takes writes from now on, and waits for no other."""
        self._run(f"pg_ctl -D {self.data} -w -t 120 promote")
        self.ask("alter system set synchronous_standby_names = ''")
        self.ask("select pg_reload_conf()")

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """The rows of a question, outside of any transaction."""
        import psycopg

        with psycopg.connect(self.url_at(self.port), autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[call-overload]  # a plain text
            return list(cursor.fetchall()) if cursor.description else []

    @staticmethod
    def url_at(port: int) -> str:
        """The address of the database at a port of this machine (the server's own, or a link's to it)."""
        return f"postgresql://{USER}@127.0.0.1:{port}/postgres"

    def _run(self, command: str) -> None:
        words = f"{self._programs}/{command}"
        call = ["su", "postgres", "-c", words] if os.geteuid() == 0 else ["sh", "-c", words]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, cwd="/")
