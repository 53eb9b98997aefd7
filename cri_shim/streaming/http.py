"""One HTTP/1.1 request, and its answer: a refusal, or the switch to another protocol."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

import anyio
import h11

if TYPE_CHECKING:
    from anyio.abc import ByteStream

HeaderList: TypeAlias = "tuple[tuple[str, str], ...]"
_HEAD_BYTES = 64 << 10  # clients send their credentials along, and a kubelet passes them on
_READ_BYTES = 16 << 10


class Refusal(Exception):
    """The request is answered with `status`, a line of text, and these headers."""

    def __init__(self, status: HTTPStatus, text: str = "", headers: HeaderList = ()) -> None:
        super().__init__(text or status.phrase)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says before its body."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]  # names in lower case

    def values(self, name: str) -> list[str]:
        """All values of a header that is a list, whether in one line or in several."""
        lines = [value for each, value in self.headers if each == name]
        return [value.strip() for line in lines for value in line.split(",") if value.strip()]

    def has(self, name: str, value: str) -> bool:
        """Whether `value` is among them, in upper or lower case."""
        return value.lower() in (each.lower() for each in self.values(name))


class Exchange:
    """The server's end of a connection on which one request comes."""

    def __init__(self, transport: ByteStream) -> None:
        self._transport = transport
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)

    async def head(self) -> Head:
        """The request. Raises Refusal for one that can't be read, anyio.EndOfStream when none comes."""
        request = await self._event()
        if not isinstance(request, h11.Request):
            raise anyio.EndOfStream
        if not isinstance(await self._event(), h11.EndOfMessage):
            raise Refusal(HTTPStatus.BAD_REQUEST, "a request with a body can't switch protocols")
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        return Head(request.method.decode("latin-1"), request.target.decode("latin-1").partition("?")[0], headers)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with `refusal`; the connection is of no use afterwards."""
        if self._http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        body = f"{refusal}\n".encode()
        headers = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
        length = ("Content-Length", str(len(body)))
        answer = h11.Response(
            status_code=refusal.status,
            reason=refusal.status.phrase,
            headers=[*refusal.headers, *headers, length, ("Connection", "close")],
        )
        data = b"".join(filter(None, map(self._http.send, (answer, h11.Data(data=body), h11.EndOfMessage()))))
        await self._transport.send(data)

    async def switch(self, headers: HeaderList) -> bytes:
        """Answer 101; the bytes that came after the request, and are of the other protocol."""
        answer = h11.InformationalResponse(
            status_code=101, reason="Switching Protocols", headers=[("Connection", "Upgrade"), *headers]
        )
        await self._transport.send(self._http.send(answer) or b"")
        return self._http.trailing_data[0]

    async def _event(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                try:
                    data = await self._transport.receive(_READ_BYTES)
                except anyio.EndOfStream:
                    data = b""
                self._http.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise Refusal(HTTPStatus(error.error_status_hint), str(error)) from error
        return event
