"""HTTP from inside the node's network, as a client of the kubelet's on the node sees it."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from integration.harness.node import Node

TIMEOUT: Final = 30.0


class HttpError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


@dataclass(frozen=True)
class HttpClient:
    """Asks one server; with `tls`, whatever certificate it has."""

    node: Node
    port: int
    tls: bool = False
    address: str = "127.0.0.1"

    def request(self, method: str, path: str) -> bytes:
        """The body of the answer. Raises `HttpError`, or `OSError` when nobody answers."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=TIMEOUT)
        connection.sock = self._connect()
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            body = answer.read()
        except http.client.HTTPException as error:  # the server went while it answered
            raise OSError(str(error)) from error
        finally:
            connection.close()
        if answer.status // 100 != 2:
            raise HttpError(answer.status, body.decode(errors="replace"))
        return body

    def get(self, path: str) -> bytes:
        """The body of the answer to a GET."""
        return self.request("GET", path)

    def _connect(self) -> ssl.SSLSocket:
        plain = self.node.connect(self.port, self.address)
        plain.settimeout(TIMEOUT)
        if not self.tls:
            return plain  # type: ignore[return-value]  # http.client asks for no more than a socket's methods
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(plain)
