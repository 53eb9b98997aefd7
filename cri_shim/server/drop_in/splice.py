"""A client's connection and one to containerd, joined: what comes from either goes to the other.

The client's headers are read on their way, for a CRI call among containerd's. It is turned away with a GOAWAY that
names the last call that containerd has been given: those go on, the others have been seen by nobody and may be made
again elsewhere. Source: RFC 9113, section 6.8; gRPC's transparent retries (gRFC A6).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import structlog
from hyperframe.frame import GoAwayFrame, WindowUpdateFrame

from cri_shim.errors import InvalidArgument
from cri_shim.server.drop_in.frames import HEADERS, PREFACE, CallReader, Flag, Frame, FrameCutter, Kind, is_cri

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

_HEADER_SIZE = 9


class _Side(asyncio.Protocol):
    """One of the two connections: what it receives goes to `take`; it reads no faster than the other one writes."""

    transport: asyncio.Transport
    other: _Side

    def __init__(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._take = take
        self._ended = ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  (each end has its own log)
        self.other.transport.close()  # once what is written has gone
        self._ended()


class Splice:
    """The two sides, and what stands between them. `ended` is called once a side has gone; it may be called twice."""

    def __init__(self, client: asyncio.Transport, ended: Callable[[Splice], None]) -> None:
        self._client = _Side(self._from_client, lambda: ended(self))
        self._client.transport = client
        self.containerd = _Side(self._from_containerd, lambda: ended(self))
        self._client.other, self.containerd.other = self.containerd, self._client
        self._calls = CallReader()
        self._requests = FrameCutter(HEADERS | {Kind.SETTINGS})
        self._responses = FrameCutter(frozenset())
        self._to_put_in: list[bytes] = []  # into what goes to the client, at the next end of a frame
        self._headers: list[Frame] = []  # of a call, until it is known whose
        self._last_call = 0  # that containerd has been given
        self._turned_away = False
        self._acknowledged = False  # our own greeting

    def begin(self, received: bytes) -> None:
        """Start to pass on, with what the client has sent so far."""
        client = self._client.transport
        client.set_protocol(self._client)
        self.containerd.transport.write(PREFACE)
        self._from_client(received[len(PREFACE) :])
        client.resume_reading()

    def close(self) -> None:
        """Close both sides, once what is written has gone."""
        self._client.transport.close()
        self.containerd.transport.close()

    # ── from the client ─────────────────────────────────────────────────────────────────────────────────────────────

    def _from_client(self, data: bytes) -> None:
        try:
            for piece in self._requests.cut(data):
                if isinstance(piece, bytes):
                    self.containerd.transport.write(piece)
                else:
                    self._look_at(piece)
        except InvalidArgument as error:
            log.warning("connection closed", problem=str(error))
            self.close()

    def _look_at(self, frame: Frame) -> None:
        if frame.kind in HEADERS:
            self._sort(frame)
        elif self._turned_away and frame.stream > self._last_call:
            self._drop(frame)
        elif frame.kind == Kind.SETTINGS and frame.flags & Flag.ACK and not self._acknowledged:
            self._acknowledged = True  # what it acknowledges is none of containerd's
        else:
            self.containerd.transport.write(frame.raw)

    def _sort(self, frame: Frame) -> None:
        """Pass on a call's headers once they are whole, unless it is not containerd's."""
        self._headers.append(frame)
        path = self._calls.path(frame)
        if path is None:
            return
        headers, self._headers = self._headers, []
        if is_cri(path):
            self._turn_away()
        if self._turned_away and frame.stream > self._last_call:
            return
        self._last_call = max(self._last_call, frame.stream)
        self.containerd.transport.write(b"".join(each.raw for each in headers))

    def _turn_away(self) -> None:
        if not self._turned_away:
            self._turned_away = True
            self._requests.watched = None
            self._put_in(GoAwayFrame(last_stream_id=self._last_call).serialize())

    def _drop(self, frame: Frame) -> None:
        """Forget a frame of a call that was turned away; what it took of the connection's window is given back."""
        size = len(frame.raw) - _HEADER_SIZE
        if frame.kind == Kind.DATA and size:
            self._put_in(WindowUpdateFrame(0, window_increment=size).serialize())

    # ── from containerd ─────────────────────────────────────────────────────────────────────────────────────────────

    def _from_containerd(self, data: bytes) -> None:
        for piece in self._responses.cut(data):
            self._client.transport.write(cast("bytes", piece))  # no frame is watched here
        self._put_in()

    def _put_in(self, *frames: bytes) -> None:
        self._to_put_in += frames
        if self._to_put_in and self._responses.between_frames:
            self._client.transport.write(b"".join(self._to_put_in))
            self._to_put_in.clear()
