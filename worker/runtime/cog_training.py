"""One run in a container of Replicate: the order comes as an archive, what is written goes to the log, the result is an archive.

No bucket is reached from there. Each object that bears the run's proof is printed as one line (`echo`), which the bot copies.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TextIO

from finetune.platforms.replicate import ECHO, echo
from finetune.platforms.run_key import RunKey
from finetune.platforms.runs import MANIFEST, REPORT, SAFE, RunStore
from worker.errors import WorkerError
from worker.runtime.remote import Container
from worker.transport.signing import parse_public


class EchoStore(RunStore):
    """A folder of the container whose proved objects are printed as they are written."""

    def __init__(self, url: str, out: TextIO) -> None:
        super().__init__(url)
        self._out = out

    def write(self, tag: str, path: str, data: bytes) -> None:
        super().write(tag, path, data)
        if ECHO.fullmatch(path):
            self._out.write(echo(path, data.decode()) + "\n")
            self._out.flush()


def train_run(archive: Path, key: RunKey, bot_key: str, folder: Path, out: TextIO) -> Path:
    """Runs the order in `archive`; the archive of its result, empty where it ended without one.

    `folder` is empty and the container's own, `out` its log. WorkerError where the order is not one of this bot's.
    """
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if SAFE.fullmatch(name)]
        for name in names:
            target = folder / key.tag / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files.read(name))
    if not names:
        raise WorkerError("The archive of the run is empty: launch it again.")
    runs = EchoStore(str(folder), out)
    Container(runs, key, parse_public(bot_key), out).run()
    result = folder / "weights.zip"
    with zipfile.ZipFile(result, "w") as bundle:
        if runs.read(key.tag, MANIFEST, 1) is not None:
            place = folder / key.tag
            for path in sorted((place / "files").rglob("*")):
                if path.is_file():
                    bundle.write(path, path.relative_to(place).as_posix())
            bundle.write(place / REPORT, REPORT)
    return result
