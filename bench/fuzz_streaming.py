"""`python -m bench.fuzz_streaming --seconds N`: a streaming server under malformed HTTP, SPDY and WebSocket.

Every connection begins well up to a point drawn by chance, and goes on with bytes that were cut, flipped, repeated or
made up. Whatever comes, the server has to answer a good client, close what is bad, log no error of its own, come back
to the tasks and descriptors that it began with, and grow no further once it is warm. What was seen to fail is repeated
with `--seed`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from struct import pack
from typing import TYPE_CHECKING, Any

import anyio
import structlog
import uvloop
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from cri_shim.api.runtime import v1 as cri
from cri_shim.config.settings import StreamingSettings
from cri_shim.errors import ResourceExhausted
from cri_shim.streaming import seconds
from cri_shim.streaming.server import StreamingServer
from cri_shim.streaming.spdy.frames import (
    Data,
    Frame,
    GoAway,
    MoreHeaders,
    Ping,
    RstStream,
    Settings,
    SynReply,
    SynStream,
    WindowUpdate,
    serialize,
)
from cri_shim.streaming.spdy.header_block import HeaderDeflater
from cri_shim.streaming.tickets import Tickets
from integration.streaming_client.connect import dial
from integration.streaming_client.spdy import spdy_command

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from anyio.abc import ByteReceiveStream, ByteSendStream, ByteStream

    from cri_shim.cri.remote_streams import RemoteStreams

_AT_ONCE = 8
_ROUNDS = 10  # after each, all connections are gone, and what is held is counted
_WARM = 1  # the round after which memory is to stay
_GROWTH = 8  # MiB, since then: what an allocator keeps
_ANSWER_SECONDS = seconds.CREATION + seconds.PARTING + seconds.LINGER + 15
_SPDY = "Upgrade: SPDY/3.1\r\nConnection: Upgrade\r\nX-Stream-Protocol-Version: {}\r\n"
_WEBSOCKET = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: {}\r\n"
)
_WEBSOCKETS = ["v5.channel.k8s.io", "v4.channel.k8s.io", "base64.channel.k8s.io", "channel.k8s.io"]
_TUNNEL = "SPDY/3.1+portforward.k8s.io"
_TYPES = ["error", "stdin", "stdout", "stderr", "resize", "data", "x"]


_KEPT_BYTES = 1000


async def _echo(source: ByteReceiveStream, target: ByteSendStream) -> None:
    """Read all, and give the beginning back: whoever waited to send while it reads could be held up by a client."""
    kept = b""
    async for data in source:
        kept += data[: _KEPT_BYTES - len(kept)]
    await target.send(kept)


class Echo:
    """A runtime that gives back what it gets."""

    async def exec(self, request: cri.ExecRequest, streams: RemoteStreams) -> int:
        await self.attach(request, streams)
        return 0

    async def attach(self, request: cri.ExecRequest | cri.AttachRequest, streams: RemoteStreams) -> None:
        del request
        if streams.stdin and streams.stdout:
            await _echo(streams.stdin, streams.stdout)

    async def port_forward(self, pod_sandbox_id: str, port: int, stream: ByteStream) -> None:
        del pod_sandbox_id, port
        await _echo(stream, stream)


@dataclass
class Made:
    """Where a connection goes, and what is sent there."""

    path: str
    data: bytes


class Maker:
    """Input, by chance."""

    def __init__(self, chance: random.Random, server: StreamingServer) -> None:
        self._chance = chance
        self._server = server

    def made(self) -> Made:
        chance = self._chance
        kind = chance.choice(["exec", "exec", "attach", "portforward", "portforward", "none"])
        url = self._url(kind)
        ports = kind == "portforward"
        how = chance.choice(["spdy", "spdy", "websocket", "websocket", "http"])
        if how == "spdy":
            headers, body = _SPDY.format("portforward.k8s.io" if ports else "v4.channel.k8s.io"), self._spdy(ports)
        elif how == "websocket":
            protocol = chance.choice([_TUNNEL, "v4.channel.k8s.io"]) if ports else chance.choice(_WEBSOCKETS)
            headers, body = _WEBSOCKET.format(protocol), self._websocket(protocol, ports)
        else:
            headers, body = "", b""
        path = "/" + url.split("/", 3)[3]
        head = f"{chance.choice(['GET', 'POST'])} {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode()
        if how == "http" or chance.random() < 0.1:
            head = self._bent(head)
        return Made(url, head + (self._bent(body) if chance.random() < 0.7 else body))

    def _url(self, kind: str) -> str:
        with suppress(ResourceExhausted):
            return self._granted(kind)
        self._server._tickets = Tickets()  # those whose request was bent beyond reading
        return self._granted(kind)

    def _granted(self, kind: str) -> str:
        asked: dict[str, Any] = {"stdin": True, "stdout": True, "tty": self._chance.random() < 0.3}
        if kind == "exec":
            return self._server.exec(cri.ExecRequest(container_id="c", cmd=["c"], **asked))
        if kind == "attach":
            return self._server.attach(cri.AttachRequest(container_id="c", **asked))
        url = self._server.port_forward(cri.PortForwardRequest(pod_sandbox_id="p", port=[80, 81]))
        return url if kind == "portforward" else url[:-1]

    def _spdy(self, ports: bool) -> bytes:  # noqa: FBT001
        deflate = HeaderDeflater().block
        wanted = ["error", "data"] if ports else ["error", "stdin", "stdout", "resize"]
        more = (("port", "80"), ("requestid", "1")) if ports else ()
        frames: list[Frame] = [SynStream(2 * at + 1, (("streamtype", kind), *more)) for at, kind in enumerate(wanted)]
        frames += [self._frame() for _ in range(self._chance.randrange(30))]
        if self._chance.random() < 0.05:
            frames += self._flood()
        return b"".join(serialize(frame, deflate) for frame in frames)

    def _frame(self) -> Frame:
        chance = self._chance
        stream_id = chance.choice([0, 1, 3, 3, 5, 7, 9, 11, 2, 2**31 - 1])
        number = chance.choice([0, 1, 2, 65536, 2**31 - 1])
        headers = (("streamtype", chance.choice(_TYPES)), ("port", chance.choice(["80", "0", "x"])))
        frames: list[Frame] = [
            Data(max(stream_id, 1), chance.randbytes(chance.choice([0, 1, 100, 70_000])), chance.random() < 0.1),
            SynStream(stream_id, headers, chance.random() < 0.2, chance.random() < 0.1),
            SynReply(stream_id, headers), MoreHeaders(stream_id, headers), RstStream(stream_id, number),
            Settings(((7, number),)), Ping(number), GoAway(stream_id, number), WindowUpdate(stream_id, number),
        ]  # fmt: skip
        return chance.choice(frames)

    def _flood(self) -> list[Frame]:
        """More than a client has a use for: answers to be made, streams to be kept, headers that swell."""
        chance, count = self._chance, self._chance.choice([10, 1000, 5000])
        swollen = (("streamtype", "error"), ("port", "80"), ("x", "a" * chance.choice([1000, 16_000, 100_000])))
        floods: list[list[Frame]] = [
            [Ping(2 * at + 1) for at in range(count)],
            [SynStream(2 * at + 101, (("streamtype", "data"), ("port", "80"))) for at in range(count)],
            [SynStream(2 * at + 101, swollen) for at in range(10)],
            [Data(3, b"x") for _ in range(count)],
            [RstStream(2 * at + 101, 5) for at in range(count)],
        ]
        return chance.choice(floods)

    def _websocket(self, protocol: str, ports: bool) -> bytes:  # noqa: FBT001
        chance = self._chance
        if protocol == _TUNNEL:
            stream = self._bent(self._spdy(ports))
            return b"".join(self._message(Opcode.BINARY, stream[at : at + 1000]) for at in range(0, len(stream), 1000))
        out = []
        for _ in range(chance.randrange(20)):
            opcode = chance.choice([*Opcode, Opcode.BINARY, Opcode.BINARY])
            channel = chance.choice([b"\0", b"\1", b"\4", b"\xff", b"0", b"4", b""])
            payload = chance.choice([b"\0", b'{"Width":8,"Height":8}', chance.randbytes(50), b"YWI=", pack(">H", 1000)])
            out.append(self._message(opcode, channel + payload, fin=chance.random() < 0.9))
        if chance.random() < 0.05:  # a message in pieces without end, or a wish for thousands of pongs
            opcode, data = chance.choice([(Opcode.CONT, b""), (Opcode.CONT, b"x"), (Opcode.PING, b"x" * 100)])
            out += [
                self._message(Opcode.BINARY, b"\0", fin=False),
                *[self._message(opcode, data, fin=opcode is Opcode.PING)] * 5000,
            ]
        return b"".join(out)

    def _message(self, opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
        data = data[:125] if opcode in {Opcode.PING, Opcode.PONG, Opcode.CLOSE} else data
        frame = WebSocketFrame(opcode, data, fin=fin)
        with suppress(Exception):
            return frame.serialize(mask=self._chance.random() < 0.97, extensions=[])
        return b""

    def _bent(self, data: bytes) -> bytes:
        chance, bent = self._chance, bytearray(data)
        for _ in range(chance.choice([0, 1, 1, 2, 5])):
            at = chance.randrange(len(bent) + 1)
            match chance.randrange(5):
                case 0:
                    del bent[at:]
                case 1:
                    bent[at : at + 1] = chance.randbytes(1)
                case 2:
                    bent[at:at] = bent[at : at + chance.randrange(200)]
                case 3:
                    bent[at:at] = chance.randbytes(chance.randrange(64))
                case 4:
                    del bent[at : at + chance.randrange(64)]
        return bytes(bent)


@dataclass(frozen=True)
class Held:
    """What a server could leak."""

    tasks: int
    descriptors: int

    @classmethod
    def now(cls) -> Held:
        return cls(len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")))

    def within(self, other: Held) -> bool:
        return self.tasks <= other.tasks and self.descriptors <= other.descriptors


def _resident() -> int:
    """This process's memory, once what is garbage is gone, in MiB."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


class Fuzz:
    """A run: how many connections were had, and what went wrong."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.connections = 0
        self.answers: Counter[str] = Counter()
        self.errors: list[str] = []

    def noted(self, _: Any, level: str, event: MutableMapping[str, Any]) -> str:
        """A processor of structlog's: errors of the server are failures of the run."""
        if level in {"error", "exception", "critical"}:
            self.errors.append(f"{event}\n{traceback.format_exc()}")
        raise structlog.DropEvent

    async def run(self, duration: float) -> None:
        """Fuzz for so long. AssertionError when the server did what it must not."""
        server = StreamingServer(StreamingSettings(), Echo())
        structlog.configure(processors=[self.noted])
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve)
            await self._good(server)
            before = Held.now()
            memory = []
            for number in range(_ROUNDS):
                await self._round(server, self.seed + number * _AT_ONCE, duration / _ROUNDS)
                await self._settled(before)
                memory.append(_resident())
                print(f"seed {self.seed}, round {number + 1}: {self.connections} connections, {memory[-1]} MiB")
            assert not self.errors, "\n".join(self.errors[:3])
            assert memory[-1] - memory[_WARM] <= _GROWTH, f"memory grows: {memory} MiB"
            print(f"seed {self.seed}: {dict(self.answers)}, held {Held.now()}, memory {memory} MiB")
            tasks.cancel_scope.cancel()

    async def _round(self, server: StreamingServer, seed: int, duration: float) -> None:
        until = time.monotonic() + duration
        async with anyio.create_task_group() as workers:
            for number in range(_AT_ONCE):
                workers.start_soon(self._work, Maker(random.Random(seed + number), server), until)
        await self._good(server)

    @staticmethod
    async def _settled(before: Held) -> None:
        """Nothing is held but what was at the beginning."""
        with anyio.move_on_after(_ANSWER_SECONDS):
            while not (now := Held.now()).within(before):  # noqa: ASYNC110
                await anyio.sleep(0.1)
            return
        raise AssertionError(f"held at the beginning: {before}, now: {now}")

    async def _good(self, server: StreamingServer) -> None:
        url = server.exec(cri.ExecRequest(cmd=["c"], stdin=True, stdout=True))
        with anyio.fail_after(_ANSWER_SECONDS):
            async with spdy_command(url, stdin=True, stderr=False) as session:
                await session.write("stdin", b"good")
                await session.end_stdin()
                assert await session.read_all() == b"good"
                assert await session.exit_code() == 0

    async def _work(self, maker: Maker, until: float) -> None:
        while time.monotonic() < until:
            made = maker.made()
            with anyio.move_on_after(_ANSWER_SECONDS) as waiting:
                await self._one(made)
            assert not waiting.cancelled_caught, f"not answered: {made!r:.2000}"
            self.connections += 1

    async def _one(self, made: Made) -> None:
        async with await dial(made.path) as stream:
            with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._read, stream)
                    with suppress(anyio.BrokenResourceError):
                        await stream.send(made.data)
                        await stream.send_eof()

    async def _read(self, stream: ByteStream) -> None:
        found = b""
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            while True:
                found = found[:12] + await stream.receive()
        self.answers[found[9:12].decode("latin-1")] += 1


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    asked = parser.parse_args()
    anyio.run(Fuzz(asked.seed).run, asked.seconds, backend_options={"loop_factory": uvloop.new_event_loop})


if __name__ == "__main__":
    main()
