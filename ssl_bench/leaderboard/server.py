"""A board's folder over HTTP, for one machine: its own pages and nothing else, rendered when asked for and then kept.

No path ever reaches a file system: what is asked for is a key among the names of the pages.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import ipaddress
import re
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ssl_bench.errors import SslBenchError, UsageError
from ssl_bench.leaderboard import addresses
from ssl_bench.leaderboard.folder import Files

TYPES = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
NOTHING = "default-src 'none'"
"""Policy of what is no page."""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
PATIENCE = 1.0
"""Seconds for which records are taken to be as they were when they were last looked at."""
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]", ""})
"""Names under which a browser of this machine asks; any other, asked of a loopback address, is another site's that was
made to point here."""


@dataclasses.dataclass(frozen=True)
class Page:
    """One answer."""

    content: bytes
    kind: str
    policy: str

    @property
    def tag(self) -> str:
        """The entity tag: equal content, equal tag."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


class Pages:
    """The pages as the records are now.

    `files` makes the folder anew, from whichever thread asks; `stamp` tells cheaply whether it has to.
    """

    def __init__(self, files: Callable[[], Files], stamp: Callable[[], str]) -> None:
        self._files, self._stamp = files, stamp
        self._lock = threading.Lock()
        self._looked = -PATIENCE
        self._seen: str | None = None
        self._made: Files = {}
        self._failed: SslBenchError | None = None
        self._kept: dict[str, Page] = {}

    def get(self, name: str) -> Page | None:
        """Return a page, or None where there is none of that name; raise SslBenchError where there can be no board."""
        with self._lock:
            self._look()
            if self._failed:
                raise self._failed
            if name in self._made and name not in self._kept:
                self._kept[name] = _page(name, self._made[name]())
            return self._kept.get(name)

    def _look(self) -> None:
        """Begin anew where the records have changed since; not more often than once in `PATIENCE`."""
        if time.monotonic() - self._looked < PATIENCE:
            return
        stamp = self._stamp()
        if stamp != self._seen:
            self._made, self._kept, self._failed = {}, {}, None
            try:
                self._made = self._files()
            except SslBenchError as error:
                self._failed = error
        self._seen, self._looked = stamp, time.monotonic()


def _page(name: str, text: str) -> Page:
    ending = name.rpartition(".")[2]
    stated = POLICY.search(text[:2000]) if ending == "html" else None
    return Page(text.encode(), TYPES[ending], stated[1].replace("&#39;", "'") if stated else NOTHING)


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the pages of its server."""

    server: Server
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a page, or with why there is none."""
        name = urllib.parse.unquote(self.path.partition("?")[0]).removeprefix("/") or addresses.BOARD
        if not self.server.answers_to(self.headers.get("Host", "")):
            return self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "this board is not served under that name")
        try:
            page = self.server.pages.get(name)
        except SslBenchError as error:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        if page is None:
            return self._refuse(HTTPStatus.NOT_FOUND, "there is no such page; the board is at /")
        if page.tag in re.findall(r'"[^"]*"', self.headers.get("If-None-Match", "")):
            return self._send(HTTPStatus.NOT_MODIFIED, dataclasses.replace(page, content=b""), page.tag)
        return self._send(HTTPStatus.OK, page, page.tag)

    do_HEAD = do_GET

    def __getattr__(self, name: str) -> Any:
        """Answer every other method alike; the base class says "not implemented" of those that it finds no name for."""
        if name.startswith("do_"):
            return self._not_allowed
        raise AttributeError(name)

    def _not_allowed(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD are answered")

    def _send(self, status: int, page: Page, tag: str = "") -> None:
        self.request_version = "HTTP/1.0"  # 0.9 has no headers to say what an answer is
        self.send_response(status)
        headers = HEADERS | {"Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'"}
        if tag:
            headers["ETag"] = tag
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        if status != HTTPStatus.NOT_MODIFIED:
            headers |= {"Content-Type": page.kind, "Content-Length": str(len(page.content))}
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.content)

    def _refuse(self, code: HTTPStatus, why: str) -> None:
        """Answer with one line of plain text."""
        self._send(code, Page(f"{why}\n".encode(), "text/plain; charset=utf-8", NOTHING))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request; the base class's messages repeat the request's words, and are left out."""
        self.close_connection = True
        self._refuse(HTTPStatus(code), HTTPStatus(code).phrase)

    def log_message(self, format: str, *words: Any) -> None:
        """Say nothing: requests are the words of whoever asks."""

    def version_string(self) -> str:
        """Return what the header `Server` says, without versions."""
        return "ssl-bench"


class Server(ThreadingHTTPServer):
    """Serves the pages; every request in a thread of its own, which ends with the process."""

    daemon_threads = True
    allow_reuse_port = False

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self.pages = pages
        self.address_family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.local = ipaddress.ip_address(address[0]).is_loopback
        """Whether only this machine can ask."""
        self.host = host.lower()
        super().__init__((str(address[0]), port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server for the machine's name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.host, self.server_address[1]

    @property
    def url(self) -> str:
        """Where the board is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_port}/"

    def answers_to(self, header: str) -> bool:
        """Return whether a request's Host is one that this server is known by."""
        name = re.sub(r":\d*$", "", header.strip().lower())
        return not self.local or name in LOCAL or name in (self.host, f"[{self.host}]")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away; anything else is a fault and is told."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def open_server(host: str, port: int, pages: Pages) -> Server:
    """Return a server that listens; raise UsageError naming a free port where another program has this one."""
    try:
        return Server(host, port, pages)
    except socket.gaierror:
        raise UsageError(f"--host {host!r} is no address of this machine; 127.0.0.1 is the usual one") from None
    except PermissionError:
        raise UsageError(f"port {port} needs rights that you do not have; --port 8642 does not") from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"cannot listen at {host} port {port}: {error.strerror or error}") from error
        raise UsageError(f"port {port} is taken by another program; --port {_free(host)} is free") from None


def _free(host: str) -> int:
    """Return a port that is free now."""
    family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as probe:
        probe.bind(address)
        port: int = probe.getsockname()[1]
        return port
