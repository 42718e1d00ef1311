"""A worker's health as one small JSON document on 127.0.0.1, for systemd, Docker and people with curl."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HealthServer:
    """Answers GET /health with what `check` returns; 200 when its "ok" is true, else 503."""

    def __init__(self, check: Callable[[], dict[str, Any]], port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"check": staticmethod(check)})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    def start(self) -> None:
        """Answers from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    check: Callable[[], dict[str, Any]]

    def do_GET(self) -> None:
        if self.path != "/health":
            self.send_error(404)
            return
        found = self.check()
        body = json.dumps(found).encode()
        self.send_response(200 if found.get("ok") else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Health checks are not news."""
