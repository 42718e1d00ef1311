"""Which GPU a worker takes, and what its health page says."""

from __future__ import annotations

import httpx
import pytest

from worker.errors import WorkerError
from worker.runtime.heartbeat import HealthServer
from worker.runtime.multi_gpu import choose_devices, free_memory_gib, parse_free

TWO = {0: 10.0, 1: 70.0}


def test_the_answer_of_nvidia_smi_is_read_and_odd_lines_left_out() -> None:
    """MiB to GiB; [N/A] and noise are no GPUs; a machine without the program has none."""
    assert parse_free("0, 10240\n1, 71680\n2, [N/A]\nNo devices\n") == TWO
    assert free_memory_gib("no-such-program") == {}


@pytest.mark.parametrize(
    ("free", "devices", "choice"), [(TWO, None, "1"), (TWO, "0, 1", "0,1"), (TWO, "cpu", ""), ({}, None, "")]
)
def test_a_worker_takes_the_emptiest_gpu_or_those_it_was_given(
    free: dict[int, float], devices: str | None, choice: str
) -> None:
    """Without any it works on the CPU."""
    assert choose_devices(free, devices, 8.0) == choice


@pytest.mark.parametrize(
    ("devices", "why"), [("2", "no GPU 2"), ("0", "10.0 GiB free, 20.0 are needed"), ("x", "no GPU x")]
)
def test_a_gpu_that_is_missing_or_too_full_is_refused_at_the_start(devices: str, why: str) -> None:
    """Not in the middle of a training."""
    with pytest.raises(WorkerError, match=why):
        choose_devices(TWO, devices, 20.0)


def test_the_health_page_says_by_its_status_whether_all_is_well() -> None:
    """200 and 503 for whoever asks only that; the body says more; nothing else is served."""
    health = {"ok": True, "name": "w1"}
    server = HealthServer(lambda: health)
    server.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
            assert (client.get("/health").status_code, client.get("/health").json()) == (200, health)
            health["ok"] = False
            assert client.get("/health").status_code == 503
            assert client.get("/").status_code == 404
    finally:
        server.stop()
