"""A client's streams as the runtime sees them, and the one on which it hears how its command ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.streaming.lost import LOST

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, ByteSendStream

    from cri_shim.streaming.resizes import Resizes


@dataclass(frozen=True, slots=True)
class ClientStreams:
    """`RemoteStreams`, whatever carries them."""

    error: ByteSendStream
    stdin: ByteReceiveStream | None = None
    stdout: ByteSendStream | None = None
    stderr: ByteSendStream | None = None
    resizes: Resizes | None = None

    async def finish(self, status: bytes) -> None:
        """Close the outputs, and say how it ended; nothing where nobody listens any more."""
        try:
            for output in (self.stdout, self.stderr):
                if output is not None:
                    await output.aclose()
            if status:
                await self.error.send(status)
            await self.error.aclose()
        except LOST:
            return
