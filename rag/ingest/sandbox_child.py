"""The child of `rag.ingest.sandbox`: confines itself, then turns one foreign file after another into Markdown."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.readers.reader import Reader
from rag.ingest.readers.registry import load_readers

MEMORY = 2 << 30
CPU_SECONDS = 60
MAX_TEXT = 12_000_000
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.exec", "os.fork",
             "os.posix_spawn", "os.system", "ctypes.dlopen")  # fmt: skip


def confine() -> None:
    """Drops the rights that no reader needs; the network namespace only where the system allows it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))


def forbid(event: str, _arguments: Any) -> None:
    """An audit hook: forbids connections and subprocesses once the readers are loaded."""
    if event in FORBIDDEN:
        raise PermissionError(f"{event} is not for readers of documents")


def preload() -> Mapping[str, Reader]:
    """The registry, with every shared library loaded that its readers name; this is the slow part of the start."""
    table = load_readers()
    for module in sorted({module for reader in table.values() for module in reader.preload}):
        with suppress(ModuleNotFoundError):  # an extra that is not installed: told when a file needs it
            import_module(module)
    return table


def answer(readers: Mapping[str, Reader], order: dict[str, str]) -> dict[str, Any]:
    """The answer to one request: documents, or an error sentence for the person."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS, resource.RLIM_INFINITY))
    try:
        documents = readers[order["kind"]].read(Path(order["path"]), order["name"])
        if sum(len(document.text) for document in documents) > MAX_TEXT:
            raise RagError(
                f"holds more than {MAX_TEXT // 1_000_000} million characters. Split it into parts."
            )
        return {"documents": [asdict(document) for document in documents]}
    except RagError as error:
        return {"error": str(error)}
    except ModuleNotFoundError as error:
        return {
            "error": f"needs packages that are not installed here ({error.name}). Install them with "
            "`pip install 'trainwise[documents]'`, then add it again."
        }
    except MemoryError:
        return {"error": "needs more memory to read than I allow. Split it, or save it as text."}
    except RecursionError:
        return {"error": "is nested too deeply to read. Save it as plain text."}
    except Exception as error:  # the boundary: readers raise any error on a broken file
        return {
            "error": f"is damaged or not what its name says ({type(error).__name__}). Save it anew and add that."
        }


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # discards what readers print
    confine()
    readers = preload()
    sys.addaudithook(forbid)
    for line in sys.stdin.buffer:
        out.write(json.dumps(answer(readers, json.loads(line))).encode() + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
