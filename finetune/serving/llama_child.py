"""llama.cpp's server from the wheel `xllamacpp`: reads one line of settings, prints its address, serves until its input ends.

It listens on loopback, behind a key. It ignores SIGTERM and Ctrl-C, which reach the whole group: the parent finishes what it
took, then closes the input.
"""

from __future__ import annotations

import json
import os
import signal
import sys


def serve() -> None:
    """Load the file, print the address, serve until the input ends."""
    settings = json.loads(sys.stdin.readline())
    import xllamacpp

    options = xllamacpp.CommonParams()
    options.model.path = settings["file"]
    options.hostnames, options.port, options.api_keys = ["127.0.0.1"], 0, [settings["key"]]
    options.n_ctx, options.n_parallel, options.n_gpu_layers = settings["context"], 1, 0
    options.fit_params, options.warmup, options.ui = False, False, False
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = settings["threads"]
    options.cpuparams.poll = options.cpuparams_batch.poll = (
        0  # sleep rather than spin while waiting for each other
    )
    server = xllamacpp.Server(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    while sys.stdin.readline():
        pass
    os._exit(0)  # nothing is left to finish: the parent asks no more


if __name__ == "__main__":
    serve()
