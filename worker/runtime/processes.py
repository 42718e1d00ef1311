"""Finds every process of one attempt (by process group, environment mark and parent) and ends them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time

import psutil

MARK = "TRAINWISE_ATTEMPT"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when its parent dies (Linux); ends it now if that has happened."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Makes this process the parent of its descendants' orphans, so that none is lost (Linux)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def of_attempt(rq_id: str, group: int) -> list[psutil.Process]:
    """The living processes of an attempt: the job process's group, whoever carries its mark, and their children."""
    mark = f"{MARK}={rq_id}"
    by_pid: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group or _is_marked(process, mark):
                by_pid[process.pid] = process
                by_pid |= {child.pid: child for child in process.children(recursive=True)}
    by_pid.pop(os.getpid(), None)
    return [process for process in by_pid.values() if _lives(process)]


def end_attempt(rq_id: str, group: int, timeout_s: float = 5.0) -> int:
    """Kills every process of the attempt and returns when none is left; the number that had to be killed."""
    deadline, victims = time.monotonic() + timeout_s, set()
    by_pid: dict[int, psutil.Process] = {}
    while True:
        by_pid |= {process.pid: process for process in of_attempt(rq_id, group)}
        left = [
            process for process in by_pid.values() if _lives(process)
        ]  # one that is dying has lost its mark
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
                victims.add(process.pid)
        reap()
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    reap()
    return len(victims)


def cpu_seconds(pid: int) -> float:
    """CPU time used so far by a process, its living descendants, and the ended ones that they have waited for."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def reap() -> None:
    """Reaps ended children."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def start_guard(rq_id: str, group: int) -> None:
    """Starts a small process that ends the attempt's other processes once this one has ended.

    It covers SIGKILL of this process or its parent while torchrun's ranks run in their own sessions. Call it before
    threads and heavy libraries are in use.
    """
    job_process = os.getpid()
    if os.fork():
        return
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    _prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    os.closerange(3, 4096)
    while os.getppid() == job_process:
        signal.sigtimedwait({signal.SIGUSR1}, 1.0)
    end_attempt(rq_id, group, timeout_s=10.0)
    os._exit(0)


def _is_marked(process: psutil.Process, mark: str) -> bool:
    if sys.platform == "linux":
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as environment:
                return mark.encode() in environment.read().split(b"\0")
        except OSError:
            return False
    name, value = mark.split("=", 1)
    return process.environ().get(name) == value


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.Error:
        return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
