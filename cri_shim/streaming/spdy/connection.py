"""One end of a SPDY/3.1 connection: the peer's bytes in, events out; our wishes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from cri_shim.streaming.spdy.events import (
    DataReceived,
    GoneAway,
    StreamEnded,
    StreamOpened,
    StreamReplied,
    StreamReset,
    WindowOpened,
)
from cri_shim.streaming.spdy.faults import GoAwayStatus, LocalFault, RemoteFault, ResetStatus
from cri_shim.streaming.spdy.frame_reader import FrameReader
from cri_shim.streaming.spdy.frames import (
    Data,
    GoAway,
    MoreHeaders,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
    data_head,
    serialize,
)
from cri_shim.streaming.spdy.header_block import HeaderDeflater
from cri_shim.streaming.spdy.limits import DEFAULT_LIMITS, Limits
from cri_shim.streaming.spdy.states import Half, Sent, after
from cri_shim.streaming.spdy.windows import CONNECTION, ReceiveWindows, SendWindows

if TYPE_CHECKING:
    from collections.abc import Callable

    from cri_shim.streaming.spdy.events import Event
    from cri_shim.streaming.spdy.frames import Frame
    from cri_shim.streaming.spdy.header_block import Headers

_HANDLERS = {
    Data: "_data",
    SynStream: "_syn_stream",
    SynReply: "_syn_reply",
    MoreHeaders: "_more_headers",
    RstStream: "_rst_stream",
    Settings: "_settings",
    Ping: "_ping",
    GoAway: "_go_away",
    WindowUpdate: "_window_update",
}
_INITIAL_WINDOW_SIZE = 7  # the one setting that changes what we do


class Side(IntEnum):
    """Whose end; the value is the parity of the ids of streams and pings that it begins."""

    SERVER = 0
    CLIENT = 1


@dataclass(slots=True)
class _Stream:
    ours: Half
    theirs: Half


class Connection:
    """Its state. A method that sends only adds to `data_to_send`, and raises LocalFault for what is not allowed now."""

    def __init__(self, side: Side = Side.SERVER, limits: Limits = DEFAULT_LIMITS) -> None:
        self._side = side
        self._limits = limits
        self._reader = FrameReader(limits)
        self._deflater = HeaderDeflater()
        self._streams: dict[int, _Stream] = {}
        self._send_windows = SendWindows()
        self._receive_windows = ReceiveWindows()
        self._out: list[bytes] = []
        self._next_id = 1 if side is Side.CLIENT else 2
        self._last_theirs = 0
        self._gone_away = False  # we have said so, or they have

    # The peer's part

    def receive(self, data: bytes) -> list[Event]:
        """What `data` tells. Raises RemoteFault, once GOAWAY is in `data_to_send`, when the connection can't go on."""
        events: list[Event] = []
        try:
            for frame in self._reader.frames(data):
                events += self._received(frame)
        except RemoteFault as fault:
            self.go_away(fault.status)
            raise
        return events

    def _received(self, frame: Frame) -> list[Event]:
        handle: Callable[[Any], list[Event]] = getattr(self, _HANDLERS[type(frame)])
        return handle(frame)

    def _data(self, frame: Data) -> list[Event]:
        stream = self._streams.get(frame.stream_id)
        self._receive_windows.arrived(frame.stream_id, len(frame.data))
        if stream is None:  # it was reset meanwhile, or never was
            self._window_updates(CONNECTION, len(frame.data))
            return self._unknown(frame.stream_id)
        if fault := self._moved(stream, Sent.MORE, fin=frame.fin):
            return self._faulted(frame.stream_id, fault)
        events: list[Event] = [DataReceived(frame.stream_id, frame.data)] if frame.data else []
        return events + self._ended(frame.stream_id, stream, fin=frame.fin)

    def _syn_stream(self, frame: SynStream) -> list[Event]:
        stream_id = frame.stream_id
        if not stream_id or stream_id & 1 == self._side or stream_id <= self._last_theirs:
            raise RemoteFault(f"stream {stream_id} opened after stream {self._last_theirs}")
        self._last_theirs = stream_id
        if self._gone_away:
            return []
        if len(self._streams) >= self._limits.streams:
            return self._faulted(stream_id, ResetStatus.REFUSED_STREAM)[:0]
        stream = _Stream(
            ours=Half.CLOSED if frame.unidirectional else Half.WAITING, theirs=Half.CLOSED if frame.fin else Half.OPEN
        )
        self._add(stream_id, stream)
        return [StreamOpened(stream_id, frame.headers), *self._ended(stream_id, stream, fin=frame.fin)]

    def _syn_reply(self, frame: SynReply) -> list[Event]:
        stream = self._streams.get(frame.stream_id)
        if stream is None:
            return self._unknown(frame.stream_id)
        if fault := self._moved(stream, Sent.REPLY, fin=frame.fin):
            return self._faulted(frame.stream_id, fault)
        replied = StreamReplied(frame.stream_id, frame.headers)
        return [replied, *self._ended(frame.stream_id, stream, fin=frame.fin)]

    def _more_headers(self, frame: MoreHeaders) -> list[Event]:
        return self._data(Data(frame.stream_id, b"", frame.fin))  # nobody here sends any that mean something

    def _rst_stream(self, frame: RstStream) -> list[Event]:
        if frame.stream_id not in self._streams:
            return []
        self._remove(frame.stream_id)
        return [StreamReset(frame.stream_id, frame.status)]

    def _settings(self, frame: Settings) -> list[Event]:
        sizes = [value for number, value in frame.values if number == _INITIAL_WINDOW_SIZE]
        if not sizes:
            return []
        self._send_windows.initially(sizes[-1])
        return [WindowOpened(CONNECTION)]

    def _ping(self, frame: Ping) -> list[Event]:
        if frame.ping_id & 1 != self._side:
            self._send(frame)
        return []

    def _go_away(self, frame: GoAway) -> list[Event]:
        self._gone_away = True
        return [GoneAway(frame.last_stream_id, frame.status)]

    def _window_update(self, frame: WindowUpdate) -> list[Event]:
        if self._send_windows.more(frame.stream_id, frame.delta):
            return [WindowOpened(frame.stream_id)]
        if frame.stream_id == CONNECTION:
            raise RemoteFault("the connection's window is opened beyond 2 GiB")
        return self._faulted(frame.stream_id, ResetStatus.FLOW_CONTROL_ERROR)

    # Our part

    def data_to_send(self) -> bytes:
        """What is to go out now, in this order; it is given once."""
        data, self._out = b"".join(self._out), []
        return data

    @property
    def bytes_to_send(self) -> int:
        """How much waits to go out."""
        return sum(map(len, self._out))

    def open(self, headers: Headers, *, fin: bool = False) -> int:
        """Open a stream; its id."""
        if self._gone_away:
            raise LocalFault("the connection takes no more streams")
        stream_id, self._next_id = self._next_id, self._next_id + 2
        self._add(stream_id, _Stream(ours=Half.CLOSED if fin else Half.OPEN, theirs=Half.WAITING))
        self._send(SynStream(stream_id, headers, fin))
        return stream_id

    def reply(self, stream_id: int, headers: Headers = ()) -> None:
        """Take the stream that the peer has opened. Kubernetes' clients wait for it before they send anything."""
        self._move_ours(stream_id, Sent.REPLY)
        self._send(SynReply(stream_id, headers))

    def room(self, stream_id: int) -> int | None:
        """How many bytes may be sent on the stream now; None for any number. LocalFault if the stream is over."""
        self._existing(stream_id)
        return self._send_windows.room(stream_id)

    def send(self, stream_id: int, data: bytes) -> None:
        """Send at most `room` bytes on a stream."""
        room = self.room(stream_id)
        if room is not None and len(data) > room:
            raise LocalFault(f"{len(data)} bytes for stream {stream_id}, whose window is {room}")
        self._move_ours(stream_id, Sent.MORE)
        self._send_windows.sent(stream_id, len(data))
        self._out += (data_head(stream_id, len(data), fin=False), data)

    def end(self, stream_id: int) -> None:
        """Send no more on the stream."""
        stream = self._move_ours(stream_id, Sent.FIN)
        self._send(Data(stream_id, b"", fin=True))
        self._over(stream_id, stream)

    def reset(self, stream_id: int, status: ResetStatus = ResetStatus.CANCEL) -> None:
        """End the stream both ways; nothing if it is over already."""
        if stream_id in self._streams:
            self._remove(stream_id)
            self._send(RstStream(stream_id, status))

    def read(self, stream_id: int, length: int) -> None:
        """`length` bytes of a stream have been used: the peer may send as many again."""
        self._window_updates(stream_id, length)

    def go_away(self, status: GoAwayStatus = GoAwayStatus.OK) -> None:
        """Take and open no more streams."""
        self._gone_away = True
        self._send(GoAway(self._last_theirs, status))

    def is_open(self, stream_id: int) -> bool:
        """Whether the stream is not yet over."""
        return stream_id in self._streams

    def open_streams(self) -> list[int]:
        """The ids of all streams that are not yet over."""
        return list(self._streams)

    # Both

    def _send(self, frame: Frame) -> None:
        self._out.append(serialize(frame, self._deflater.block))

    def _add(self, stream_id: int, stream: _Stream) -> None:
        self._streams[stream_id] = stream
        self._send_windows.open(stream_id)
        self._receive_windows.open(stream_id)

    def _remove(self, stream_id: int) -> None:
        self._streams.pop(stream_id, None)
        self._send_windows.close(stream_id)
        self._receive_windows.close(stream_id)

    def _over(self, stream_id: int, stream: _Stream) -> None:
        if stream.ours is Half.CLOSED and stream.theirs is Half.CLOSED:
            self._remove(stream_id)

    def _existing(self, stream_id: int) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            raise LocalFault(f"stream {stream_id} is over")
        return stream

    def _move_ours(self, stream_id: int, sent: Sent) -> _Stream:
        stream = self._existing(stream_id)
        half = after(stream.ours, sent)
        if isinstance(half, ResetStatus):
            raise LocalFault(f"{sent.name} on stream {stream_id}, on which our half is {stream.ours.name}")
        stream.ours = half
        return stream

    @staticmethod
    def _moved(stream: _Stream, sent: Sent, *, fin: bool) -> ResetStatus | None:
        """The peer has sent this; what is wrong with it."""
        half = after(stream.theirs, sent, Sent.FIN) if fin else after(stream.theirs, sent)
        if isinstance(half, ResetStatus):
            return half
        stream.theirs = half
        return None

    def _ended(self, stream_id: int, stream: _Stream, *, fin: bool) -> list[Event]:
        if not fin:
            return []
        self._over(stream_id, stream)
        return [StreamEnded(stream_id)]

    def _faulted(self, stream_id: int, status: ResetStatus) -> list[Event]:
        self._remove(stream_id)
        self._send(RstStream(stream_id, status))
        return [StreamReset(stream_id, status)]

    def _unknown(self, stream_id: int) -> list[Event]:
        """A frame for a stream that is not open: one that was reset may still be on its way; another is a fault."""
        if stream_id & 1 != self._side and stream_id > self._last_theirs:
            self._send(RstStream(stream_id, ResetStatus.INVALID_STREAM))
        return []

    def _window_updates(self, stream_id: int, length: int) -> None:
        for each, delta in self._receive_windows.read(stream_id, length):
            self._send(WindowUpdate(each, delta))
