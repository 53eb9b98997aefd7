"""What a client wants to speak, by its request's headers alone.

Source: k8s.io/streaming's `httpstream` (the choice of SPDY and of its stream protocol, the codes of its refusals) and
`wsstream`; RFC 6455 section 4.2.1 for WebSocket's handshake.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from cri_shim.streaming.http import Refusal
from cri_shim.streaming.protocols import PORT_FORWARD, SPDY_VERSIONS, WEBSOCKET_COMMANDS, WEBSOCKET_PORTS, chosen

if TYPE_CHECKING:
    from collections.abc import Collection

    from cri_shim.streaming.http import Head, HeaderList

_SPDY = "SPDY/3.1"
_STREAM_PROTOCOL = "X-Stream-Protocol-Version"
_ACCEPTED = "X-Accepted-Stream-Protocol-Versions"
_WEBSOCKET_VERSION = "13"
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_WEBSOCKET_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is spoken from now on, and the headers that say so."""

    websocket: bool
    protocol: str  # of the streams; "" for a client on WebSocket that names none
    headers: HeaderList


def upgrade_for(head: Head, *, ports: bool) -> Upgrade:
    """What is spoken with the client of this request, for forwarded ports or for a command. Raises Refusal."""
    upgrading = head.has("connection", "upgrade")
    if upgrading and head.has("upgrade", "websocket"):
        return _websocket(head, WEBSOCKET_PORTS if ports else WEBSOCKET_COMMANDS)
    protocol = _stream_protocol(head, (PORT_FORWARD,) if ports else SPDY_VERSIONS)
    if not upgrading or not head.has("upgrade", _SPDY):
        raise Refusal(
            HTTPStatus.BAD_REQUEST, f"unable to upgrade: give the headers Connection: Upgrade and Upgrade: {_SPDY}"
        )
    return Upgrade(websocket=False, protocol=protocol, headers=(("Upgrade", _SPDY), (_STREAM_PROTOCOL, protocol)))


def _stream_protocol(head: Head, known: Collection[str]) -> str:
    offered = head.values(_STREAM_PROTOCOL.lower())
    if not offered:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"unable to upgrade: the header {_STREAM_PROTOCOL} is missing")
    protocol = chosen(offered, known)
    if protocol is None:
        text = f"unable to upgrade: none of {', '.join(offered)} is known, but {', '.join(known)} are"
        raise Refusal(HTTPStatus.FORBIDDEN, text, tuple((_ACCEPTED, name) for name in known))
    return protocol


def _websocket(head: Head, known: Collection[str]) -> Upgrade:
    if head.method != "GET":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "WebSocket begins with GET", (("Allow", "GET"),))
    if head.values("sec-websocket-version") != [_WEBSOCKET_VERSION]:
        raise Refusal(
            HTTPStatus.UPGRADE_REQUIRED,
            f"only version {_WEBSOCKET_VERSION} of WebSocket is known",
            (("Sec-WebSocket-Version", _WEBSOCKET_VERSION),),
        )
    offered = head.values("sec-websocket-protocol")
    protocol = chosen(offered, known) if offered else ""
    if protocol is None:
        raise Refusal(HTTPStatus.FORBIDDEN, f"none of {', '.join(offered)} is known, but {', '.join(known)} are")
    accepted = ("Sec-WebSocket-Accept", _accept(head.values("sec-websocket-key")))
    named = (("Sec-WebSocket-Protocol", protocol),) if protocol else ()
    return Upgrade(websocket=True, protocol=protocol, headers=(("Upgrade", "websocket"), accepted, *named))


def _accept(keys: list[str]) -> str:
    """The proof that the key was read. Source: RFC 6455 section 4.2.2."""
    try:
        whole = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == _WEBSOCKET_KEY_BYTES
    except (binascii.Error, ValueError):
        whole = False
    if not whole:
        raise Refusal(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(keys[0].encode() + _WEBSOCKET_GUID).digest()).decode()  # noqa: S324  (the RFC's)
