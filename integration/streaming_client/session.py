"""What a test does with a command's session, whatever carries it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from cri_shim.streaming.inbox import Inbox

ERROR, STDIN, STDOUT, STDERR, RESIZE = "error", "stdin", "stdout", "stderr", "resize"


class CommandSession(ABC):
    """A command's streams, from the client's end."""

    def __init__(self) -> None:
        self.inboxes: dict[str, Inbox] = {}
        self.protocol = ""

    @abstractmethod
    async def write(self, stream: str, data: bytes) -> None:
        """Send on stdin or resize."""

    @abstractmethod
    async def end_stdin(self) -> None:
        """Say that stdin has ended."""

    async def resize(self, width: int, height: int) -> None:
        """Say that the terminal has this size now."""
        await self.write(RESIZE, json.dumps({"Width": width, "Height": height}).encode())

    async def read(self, stream: str = STDOUT) -> bytes:
        """What comes next on stdout, stderr or error; b"" at its end."""
        try:
            return await self.inboxes[stream].receive(1 << 20)
        except anyio.EndOfStream:
            return b""

    async def read_until(self, wanted: bytes, stream: str = STDOUT) -> bytes:
        """What comes until `wanted` is in it. AssertionError if the stream ends before."""
        found = b""
        while wanted not in found:
            data = await self.read(stream)
            assert data, f"{stream} ended after {found!r}"
            found += data
        return found

    async def read_all(self, stream: str = STDOUT) -> bytes:
        """All until the end of the stream."""
        found = bytearray()
        while data := await self.read(stream):
            found += data
        return bytes(found)

    async def error_text(self) -> str:
        """What the error stream says, in the end."""
        return (await self.read_all(ERROR)).decode()

    async def status(self) -> dict[str, Any]:
        """The metav1.Status on the error stream, of v4 and v5."""
        text = await self.error_text()
        status: dict[str, Any] = json.loads(text)
        return status

    async def exit_code(self) -> int:
        """The command's, of v4 and v5. AssertionError for another failure than its own."""
        status = await self.status()
        if status["status"] == "Success":
            return 0
        assert status["reason"] == "NonZeroExitCode", status
        codes = [cause["message"] for cause in status["details"]["causes"] if cause["reason"] == "ExitCode"]
        return int(codes[0])
