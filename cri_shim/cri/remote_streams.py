"""What stands between a client's streams, whatever protocol carries them, and the process or port at their other end.

`streaming` implements `RemoteStreams` and calls a `RemoteRuntime`; the verbs exec, attach and port_forward implement
that. Neither knows more of the other than what is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from anyio.abc import ByteReceiveStream, ByteSendStream, ByteStream, ObjectReceiveStream

    from cri_shim.api.runtime import v1 as cri


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """A terminal's size in characters."""

    width: int
    height: int


class RemoteStreams(Protocol):
    """A client's streams; None for those that it did not ask for.

    Receiving raises `anyio.EndOfStream` once the client has closed its side (stdin's end is passed on to the process),
    and sending raises `anyio.BrokenResourceError` once the client is gone. Sending waits while the client's window is
    full: what waits is the sender, never the event loop.
    """

    @property
    def stdin(self) -> ByteReceiveStream | None:
        """What the client types or pipes in."""

    @property
    def stdout(self) -> ByteSendStream | None:
        """What the process prints; both outputs of a terminal."""

    @property
    def stderr(self) -> ByteSendStream | None:
        """Its errors; None with a terminal."""

    @property
    def resizes(self) -> ObjectReceiveStream[TerminalSize] | None:
        """The client's terminal as its size changes; None without a terminal."""


class RemoteRuntime(Protocol):
    """Who does what a client's session is for. Each call ends with the session; cancelling it ends the work."""

    async def exec(self, request: cri.ExecRequest, streams: RemoteStreams) -> int:
        """Run a command in a container with these streams; its exit code. Raises `errors.CriError`."""

    async def attach(self, request: cri.AttachRequest, streams: RemoteStreams) -> None:
        """Connect the streams to a container's main process until it ends. Raises `errors.CriError`."""

    async def port_forward(self, pod_sandbox_id: str, port: int, stream: ByteStream) -> None:
        """Connect `stream` to a port on the pod's loopback, until both directions have ended.

        Raises `errors.CriError` when nobody listens there.
        """


class StreamingUrls(Protocol):
    """Who gives out the addresses at which a request's session can be had, once each and only for a while.

    Its methods raise `errors.ResourceExhausted` when too many wait to be taken up.
    """

    def exec(self, request: cri.ExecRequest) -> str:
        """The URL of a session for this exec, which has been checked."""

    def attach(self, request: cri.AttachRequest) -> str:
        """The URL of a session for this attach, which has been checked."""

    def port_forward(self, request: cri.PortForwardRequest) -> str:
        """The URL of a session for these forwarded ports, which have been checked."""
