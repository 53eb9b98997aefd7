"""A registry of the tests' own, in a node's network: with accounts, with TLS, and with everything that goes wrong.

It serves what a `Store` holds, as the OCI distribution specification has it (spec.md, "Pull"), and its accounts as
Docker's registries have them: Basic, or a Bearer token that a token server gives out (distribution's
docs/spec/auth/token.md and oauth.md). A `Trouble` lets requests go wrong.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from integration.harness.node import Node
    from integration.images.store import Store

USER: Final = "wanda"
PASSWORD: Final = "correct-horse-battery"
REFRESH: Final = "refresh-token-of-wanda"
_PATH: Final = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")
_PIECE: Final = 16 << 10
_PATIENCE: Final = 120.0  # seconds

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Trouble:
    """What goes wrong with the next `times` requests whose path matches `path`.

    An `answer` is given instead of the right one. Otherwise `after` bytes of the body are sent as they are; then the
    rest comes in pieces with `pause` seconds between them, `wrong` (each byte flipped), or, with `cut`, not at all.
    """

    path: str
    answer: Answer | None = None
    after: int = 0
    pause: float = 0.0
    wrong: bool = False
    cut: bool = False
    stall: threading.Event | None = None  # nothing more is sent until it is set; after 0 bytes, no answer at all
    times: int = 1 << 30
    met: threading.Event = field(default_factory=threading.Event, init=False)


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    authorization: str
    site: str = ""  # the header X-Site


@dataclass
class OwnRegistry:
    """The registry at `address:port` of the node, which `host` leads to; `auth` is "", "basic" or "token"."""

    node: Node
    port: int
    host: str
    store: Store
    auth: str = ""
    certificate: Path | None = None
    client_ca: Path | None = None  # clients need a certificate of its
    under: str = ""  # the path before `/v2`
    address: str = "127.0.0.1"
    troubles: list[Trouble] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    most_at_once: int = 0  # blobs that were being sent
    _sending: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("", 0), self._handler(), bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = self.node.listen(self.port, self.address)
        self._server.server_address = (self.address, self.port)
        self._server.server_name, self._server.server_port = self._server.server_address
        self._server.daemon_threads = True
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            if self.client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(self.client_ca)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for trouble in self.troubles:
            if trouble.stall:
                trouble.stall.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address in the node."""
        return f"{'https' if self.certificate else 'http'}://{self.address}:{self.port}"

    def digest_of(self, name: str) -> str:
        """What a tag (`repository:tag`) points at."""
        return self.store.tags[f"{self.host}/{name}"]

    def blob_requests(self) -> list[str]:
        """The digests of the blobs that were asked for, in order."""
        return [request.path.rsplit("/", 1)[1] for request in self.requests if "/blobs/" in request.path]

    @contextmanager
    def sending(self, path: str) -> Iterator[None]:
        """A body on its way."""
        counted = "/blobs/" in path
        with self._counting:
            self._sending += counted
            self.most_at_once = max(self.most_at_once, self._sending)
        yield
        with self._counting:
            self._sending -= counted

    def trouble_for(self, path: str) -> Trouble | None:
        """The trouble that a request of this path runs into."""
        for trouble in self.troubles:
            if trouble.times and re.search(trouble.path, path):
                trouble.times -= 1
                trouble.met.set()
                return trouble
        return None

    # ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, request: Request, form: Mapping[str, list[str]]) -> Answer:
        """The right answer to a request."""
        url = urlsplit(request.path.removeprefix(self.under))
        if url.path == "/token":
            return self._token(request, form)
        if not request.path.startswith(self.under):
            return _error(404, "UNSUPPORTED", "no such path")
        if not self._allowed(request):
            return self._denied()
        if url.path == "/v2/":
            return 200, {}, b"{}"
        if not (match := _PATH.fullmatch(url.path)):
            return _error(404, "UNSUPPORTED", "no such path")
        return self._manifest(match) if match["kind"] == "manifests" else self._blob(match["reference"])

    def _manifest(self, match: re.Match[str]) -> Answer:
        tag = f"{self.host}/{match['name']}:{match['reference']}"
        digest = self.store.tags.get(tag, match["reference"])
        if (found := self.store.manifests.get(digest)) is None:
            return _error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        return 200, {"Content-Type": found.media_type, "Docker-Content-Digest": digest}, found.data

    def _blob(self, digest: str) -> Answer:
        if (data := self.store.blobs.get(digest)) is None:
            return _error(404, "BLOB_UNKNOWN", "blob unknown")
        return 200, {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}, data

    def _allowed(self, request: Request) -> bool:
        kind, _, value = request.authorization.partition(" ")
        if self.auth == "basic":
            return (kind, value) == ("Basic", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        return not self.auth or (kind == "Bearer" and value in self.tokens)

    def _denied(self) -> Answer:
        realm = f'Bearer realm="{self.url}/token",service="tests"' if self.auth == "token" else 'Basic realm="tests"'
        status, headers, body = _error(401, "UNAUTHORIZED", "authentication required")
        return status, {**headers, "WWW-Authenticate": realm}, body

    def _token(self, request: Request, form: Mapping[str, list[str]]) -> Answer:
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        by_password = form.get("username") == [USER] and form.get("password") == [PASSWORD]
        if not (request.authorization == basic or by_password or form.get("refresh_token") == [REFRESH]):
            return _error(401, "UNAUTHORIZED", "incorrect username or password")
        token = secrets.token_hex(8)
        self.tokens.add(token)
        answer = {"token": token, "access_token": token, "expires_in": 300}
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def _handler(self) -> Callable[..., BaseHTTPRequestHandler]:
        return lambda *arguments: _Handler(self, *arguments)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, registry: OwnRegistry, *arguments: Any) -> None:
        self._registry = registry
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._respond({})

    def do_HEAD(self) -> None:
        self._respond({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._respond(parse_qs(body.decode()))

    def log_message(self, *_: object) -> None:
        pass

    def _respond(self, form: Mapping[str, list[str]]) -> None:
        told = {name: self.headers.get(name, "") for name in ("Authorization", "X-Site")}
        request = Request(self.command, self.path, told["Authorization"], told["X-Site"])
        self._registry.requests.append(request)
        trouble = self._registry.trouble_for(f"{self.command} {self.path}")
        right = self._registry.answer(request, form)
        if trouble and trouble.stall and not trouble.after:
            trouble.stall.wait(_PATIENCE)
        status, headers, body = (trouble.answer if trouble else None) or right
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with self._registry.sending(self.path), suppress(OSError):
                for piece in _pieces(body, trouble):
                    self.wfile.write(piece)
        self.close_connection = trouble is not None


def _pieces(body: bytes, trouble: Trouble | None) -> Iterator[bytes]:
    if trouble is None or trouble.answer:
        yield body
        return
    yield body[: trouble.after]
    if trouble.stall:
        trouble.stall.wait(_PATIENCE)
    if trouble.cut:
        return
    rest = body[trouble.after :]
    if trouble.wrong:
        rest = bytes(byte ^ 0xFF for byte in rest)
    for start in range(0, len(rest), _PIECE):
        time.sleep(trouble.pause)
        yield rest[start : start + _PIECE]


def _error(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json"}, body
