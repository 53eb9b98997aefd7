"""A proxy between cri-shim and containerd that lets one chosen call go wrong.

It passes HTTP/2 on frame by frame. The only frames that it understands are those that begin a call: it reads a call's
name from them and writes them anew, so that one can be left out without the two ends' header tables going apart
(RFC 7541, section 2.3.2: the table is the connection's).
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hpack import Decoder, Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, RstStreamFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOCKET: Final = "/run/faults.sock"
_PREFACE: Final = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")  # RFC 9113, section 3.4
_HEADER: Final = 9  # section 4.1
_READ: Final = 1 << 16
REFUSAL: Final = "refused by the test"
_UNKNOWN: Final = "2"  # gRPC's code
# These may be made at any time, beside what is done for a pod: long ones, and those that measure disks.
_ASIDE: Final = ("/Subscribe", "/Wait", ".Snapshots/List", ".Snapshots/Usage")


@dataclass
class Fault:
    """What happens to the `number`-th call from now on, counted from 0; `hit` names the call once it has happened.

    `act` runs, then the connection is cut: before containerd has seen the call or, if it is `answered`, when all of
    its answer has come back and the client has seen none of it. A `refused` call is answered in containerd's place.
    """

    number: int
    act: Callable[[], object] = lambda: None  # in a thread of the proxy's; `done` tells that all has happened
    answered: bool = False
    refused: bool = False
    hit: str = ""
    seen: int = field(default=0, init=False)
    done: threading.Event = field(default_factory=threading.Event, init=False)

    def strikes(self, call: str) -> bool:
        """Whether this is the call."""
        if call.endswith(_ASIDE):
            return False
        self.seen += 1
        if self.seen != self.number + 1:
            return False
        self.hit = call
        return True


class FaultProxy:
    """Listens at `listen`, passes everything on to `upstream`, and has at most one fault in store."""

    def __init__(self, listen: Path, upstream: Path) -> None:
        self._upstream = str(upstream)
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(listen))
        self._server.listen()
        threading.Thread(target=self._accept, name="fault proxy", daemon=True).start()

    def arm(self, fault: Fault | None) -> None:
        """Have this fault from now on; None for none."""
        with self._lock:
            self._fault = fault

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def strikes(self, call: str) -> Fault | None:
        """The fault, if it is this call's."""
        with self._lock:
            return self._fault if self._fault and self._fault.strikes(call) else None

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(client,), name="fault proxy", daemon=True).start()

    def _connection(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(self._upstream)
            except OSError:
                return
            _Connection(self, client, server).serve()


class _Connection:
    """One client's connection, until either end is closed, or a fault cuts it."""

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._reader, self._writer = Decoder(), Encoder()
        self._fault: Fault | None = None
        self._stream = 0  # the fault's

    def serve(self) -> None:
        """Pass on what both ends send."""
        answers = threading.Thread(target=self._answers, name="fault proxy", daemon=True)
        answers.start()
        self._calls()
        answers.join()
        if self._fault:
            self._fault.done.set()

    def _calls(self) -> None:
        with suppress(OSError):
            incoming = self._client.makefile("rb")
            self._server.sendall(incoming.read(_PREFACE))
            for frame in _frames(incoming.read):
                if isinstance(frame, HeadersFrame) and not self._begins(frame):
                    break
                if not self._is_refused(frame):
                    self._server.sendall(frame.serialize())
        self._cut()

    def _answers(self) -> None:
        withheld = False
        with suppress(OSError):
            for frame in _frames(self._server.makefile("rb").read):
                mine = self._fault is not None and frame.stream_id == self._stream
                withheld = withheld or mine
                if not withheld:
                    self._client.sendall(frame.serialize())
                elif mine and self._fault and "END_STREAM" in frame.flags:
                    self._fault.act()
                    break
        self._cut()

    def _begins(self, frame: HeadersFrame) -> bool:
        """Write a call's headers anew, unless a fault strikes it; False if the connection is to be cut."""
        headers = self._reader.decode(frame.data, raw=True)
        if fault := self._proxy.strikes(dict(headers)[b":path"].decode()):
            self._fault, self._stream = fault, frame.stream_id
            if not fault.answered:
                return self._struck(fault)
        frame.flags.discard("PRIORITY")
        frame.data = self._writer.encode(headers)
        return True

    def _struck(self, fault: Fault) -> bool:
        fault.act()
        if fault.refused:
            self._client.sendall(_refusal(self._stream))
            fault.done.set()
        return fault.refused

    def _is_refused(self, frame: Frame) -> bool:
        return self._fault is not None and self._fault.refused and frame.stream_id == self._stream

    def _cut(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _refusal(stream: int) -> bytes:
    """An answer of nothing but trailers (gRPC over HTTP/2), in headers that no table remembers."""
    headers = {":status": "200", "content-type": "application/grpc", "grpc-status": _UNKNOWN, "grpc-message": REFUSAL}
    data = Encoder().encode([(name, value, True) for name, value in headers.items()])
    trailers = HeadersFrame(stream, data=data, flags=["END_HEADERS", "END_STREAM"])
    return bytes(trailers.serialize() + RstStreamFrame(stream).serialize())


def _frames(read: Callable[[int], bytes]) -> Iterator[Frame]:
    while len(header := read(_HEADER)) == _HEADER:
        frame, length = Frame.parse_frame_header(memoryview(header))
        frame.parse_body(memoryview(read(length)))
        if isinstance(frame, DataFrame):
            frame.data = bytes(frame.data)
        yield frame
