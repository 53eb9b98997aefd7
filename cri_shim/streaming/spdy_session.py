"""A SPDY connection on a byte stream: streams that tasks read and write.

Whoever sends holds the transport for one frame, and waits as long as the client does not read; a client that stops
reading so stops the process, never the loop. What is to be said without a sender (replies, pings, windows) is sent by a
task of its own, so that reading goes on while a client reads slowly; a client that never reads, but makes us answer, is
not read from any more once its answers pile up.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio.abc import ByteStream

from cri_shim.streaming.inbox import Inbox
from cri_shim.streaming.lost import LOST
from cri_shim.streaming.spdy.connection import Connection
from cri_shim.streaming.spdy.events import DataReceived, StreamEnded, StreamOpened, StreamReset, WindowOpened
from cri_shim.streaming.spdy.faults import LocalFault, RemoteFault, ResetStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cri_shim.streaming.spdy.events import Event
    from cri_shim.streaming.spdy.header_block import Headers

log = structlog.get_logger(__name__)

_FRAME_BYTES = 64 << 10  # of DATA: others get their turn after each
_ANSWERS_BYTES = 64 << 10  # that may wait to be sent before no more is read
_READ_BYTES = 64 << 10


class SpdyStream(ByteStream):
    """One stream of the client's. Its `headers` are those it was opened with, names in lower case."""

    def __init__(self, session: SpdySession, stream_id: int, headers: Headers) -> None:
        self.stream_id = stream_id
        self.headers: Mapping[str, str] = dict(headers)
        self.inbox = Inbox(lambda length: session.used(stream_id, length))
        self.window = anyio.Event()  # has perhaps opened
        self._session = session
        self._ended = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """The client's next bytes; EndOfStream once it has closed its side, or is gone."""
        return await self.inbox.receive(max_bytes)

    async def send(self, item: bytes) -> None:
        """Send to the client, waiting while it does not read. BrokenResourceError when it is gone."""
        if self._ended:
            raise anyio.ClosedResourceError
        await self._session.send(self, item)

    async def send_eof(self) -> None:
        """Close our side."""
        self.end()

    async def aclose(self) -> None:
        """Close our side, and want no more of the client's."""
        self.discard()
        self.end()

    def accept(self) -> None:
        """Reply: only then will Kubernetes' clients send on it."""
        self._session.reply(self)

    def end(self) -> None:
        """As `send_eof`."""
        if not self._ended:
            self._ended = True
            self._session.end(self)

    def discard(self) -> None:
        """Want no more of what the client sends."""
        self.inbox.close()

    def finish(self) -> None:
        """Nothing more comes of the stream; what we have ended in order is not reset on top."""
        self.discard()
        if not self._ended:
            self.reset()

    def reset(self, status: ResetStatus = ResetStatus.CANCEL) -> None:
        """End the stream both ways, at once."""
        self._ended = True
        self.discard()
        self._session.reset(self, status)


class SpdySession:
    """The server's end of a connection; `run` has to go on as long as anything else of it is used."""

    def __init__(self, transport: ByteStream, opened: Callable[[SpdyStream], None]) -> None:
        """`opened` is called with each stream that the client opens; it accepts or resets it."""
        self._transport = transport
        self._opened = opened
        self._connection = Connection()
        self._streams: dict[int, SpdyStream] = {}
        self._sending = anyio.Lock()
        self._news = anyio.Event()  # for whoever sends answers
        self._answered = anyio.Event()
        self._gone = False

    async def run(self, first: bytes = b"") -> None:
        """Read until the client is gone, or has broken the protocol; `first` is what has been read already.

        Then it is `lost`.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._answer)
            await self._read(first)
            tasks.cancel_scope.cancel()

    async def close(self) -> None:
        """End all streams, and tell the client that this was all, after what was sent before."""
        for stream in list(self._streams.values()):
            stream.finish()
        self._connection.go_away()
        with suppress(*LOST):
            await self._flush()

    def lost(self) -> None:
        """The client is gone: readers come to their end, senders fail."""
        self._gone = True
        for stream in self._streams.values():
            _over(stream)

    # For the streams

    def reply(self, stream: SpdyStream) -> None:
        """Take a stream."""
        with suppress(LocalFault):  # it was reset meanwhile
            self._connection.reply(stream.stream_id)
        self._tell()

    async def send(self, stream: SpdyStream, data: bytes) -> None:
        """Send `data`, a frame at a time, as the windows let it."""
        at = 0
        while at < len(data):
            async with self._sending:
                length = self._queue(stream, data[at : at + _FRAME_BYTES])
                if length:
                    await self._write()
            at += length
            if not length:
                await stream.window.wait()

    def end(self, stream: SpdyStream) -> None:
        """Our side of a stream is done."""
        with suppress(LocalFault):
            self._connection.end(stream.stream_id)
        self._forget_if_over(stream.stream_id)
        self._tell()

    def reset(self, stream: SpdyStream, status: ResetStatus) -> None:
        """A stream is done."""
        self._connection.reset(stream.stream_id, status)
        self._forget_if_over(stream.stream_id)
        self._tell()

    def used(self, stream_id: int, length: int) -> None:
        """The client's bytes have been used."""
        self._connection.read(stream_id, length)
        self._tell()

    # Sending

    def _queue(self, stream: SpdyStream, data: bytes) -> int:
        """How much of `data` goes out with the next write; 0 when the window is closed."""
        if self._gone:
            raise anyio.BrokenResourceError
        try:
            room = self._connection.room(stream.stream_id)
            if room == 0:
                stream.window = anyio.Event()
                return 0
            data = data[:room]
            self._connection.send(stream.stream_id, data)
        except LocalFault as fault:  # the client has reset it, or is gone
            raise anyio.BrokenResourceError from fault
        return len(data)

    async def _write(self) -> None:
        """Send all there is to send; whoever calls holds the transport."""
        if self._gone:
            raise anyio.BrokenResourceError
        if data := self._connection.data_to_send():
            await self._transport.send(data)

    async def _flush(self) -> None:
        async with self._sending:
            await self._write()

    def _tell(self) -> None:
        if self._connection.bytes_to_send:
            self._news.set()

    async def _answer(self) -> None:
        """Send what nobody else does."""
        try:
            while True:
                await self._news.wait()
                self._news = anyio.Event()
                await self._flush()
                self._answered.set()
        except LOST:
            self._gone = True
            self._answered.set()

    # Reading

    async def _read(self, data: bytes) -> None:
        try:
            while True:
                await self._take(data)
                data = await self._transport.receive(_READ_BYTES)
        except LOST:
            return
        except RemoteFault as fault:
            log.info("a SPDY client broke the protocol", error=str(fault))
            with suppress(*LOST):
                await self._flush()

    async def _take(self, data: bytes) -> None:
        for event in self._connection.receive(data):
            await self._handle(event)
        self._tell()
        while self._connection.bytes_to_send > _ANSWERS_BYTES and not self._gone:
            self._answered = anyio.Event()
            await self._answered.wait()

    async def _handle(self, event: Event) -> None:
        match event:
            case DataReceived(stream_id, data) if stream := self._streams.get(stream_id):
                await stream.inbox.put(data)
            case DataReceived(stream_id, data):
                self.used(stream_id, len(data))
            case StreamOpened(stream_id, headers):
                stream = self._streams[stream_id] = SpdyStream(self, stream_id, headers)
                self._opened(stream)
            case StreamEnded(stream_id) if stream := self._streams.get(stream_id):
                stream.inbox.end()
                self._forget_if_over(stream_id)
            case StreamReset(stream_id) if stream := self._streams.pop(stream_id, None):
                _over(stream)
            case WindowOpened(stream_id):
                for each in [stream_id] if stream_id else list(self._streams):
                    if each in self._streams:
                        self._streams[each].window.set()

    def _forget_if_over(self, stream_id: int) -> None:
        if not self._connection.is_open(stream_id) and (stream := self._streams.pop(stream_id, None)):
            _over(stream)


def _over(stream: SpdyStream) -> None:
    stream.inbox.end()
    stream.window.set()
