"""A server on this machine that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NO_PAUSE = {"retry-after-ms": "1"}  # asks the client to try again at once


@dataclass(frozen=True)
class Request:
    """What came in, with its number in order of arrival, from 0, and its headers in small letters."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Response:
    """What goes out: JSON, or text as it is; after a delay, or byte by byte."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    pause_per_byte: float = 0.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@dataclass
class LocalServer:
    """The address, and every request so far; `peak` is the largest number that were under way at once."""

    respond: Callable[[Request], Response]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    peak: int = 0
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arrive(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> Request:
        with self._lock:
            self._under_way += 1
            self.peak = max(self.peak, self._under_way)
            self.requests.append(Request(len(self.requests), method, path, headers, body))
            return self.requests[-1]

    def leave(self) -> None:
        with self._lock:
            self._under_way -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    local: LocalServer

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, body: Any) -> None:
        request = self.local.arrive(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        try:
            response = self.local.respond(request)
            time.sleep(response.delay)
        finally:
            self.local.leave()  # before the answer is sent, so that the client's next request is not counted with it
        try:
            self._send(response)
        except OSError:  # the client has gone
            self.close_connection = True

    def _send(self, response: Response) -> None:
        plain = isinstance(response.body, str)
        content = (response.body if plain else json.dumps(response.body)).encode()
        self.send_response(response.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(content), 1 if response.pause_per_byte else len(content)):
            self.wfile.write(content[start : start + 1] if response.pause_per_byte else content)
            time.sleep(response.pause_per_byte)

    def log_message(self, *arguments: Any) -> None:
        """Silence."""


@contextmanager
def serve(respond: Callable[[Request], Response]) -> Iterator[LocalServer]:
    """Answer requests with `respond` for as long as the block runs."""
    local = LocalServer(respond)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"local": local}))
    local.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield local
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
