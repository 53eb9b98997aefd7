"""A registry that hands out the run's images: the pulling half of the OCI distribution-spec, on loopback."""

from __future__ import annotations

import base64
import re
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import anyio
import h11
from anyio.abc import SocketListener

from cri_shim.smoke.image.own import PRIVATE, REPOSITORY, Blob, OwnImages, make

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

    from cri_shim.smoke.image.layer import Layer
    from cri_shim.smoke.place import Place

HOST: Final = "127.0.0.1"
USERNAME, PASSWORD = "smoke", "not a secret"
_PATH: Final = re.compile(rf"^/v2/{REPOSITORY}/(?P<short>[a-z]+)/(?P<kind>manifests|blobs)/(?P<reference>[\w:.+-]+)$")
_CREDENTIALS: Final = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
_CHUNK: Final = 1 << 20
_LOST: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
# To a client that begins with TLS this says what it needs to hear to come again with plain HTTP, as containerd's does.
_NOT_HTTP: Final = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    status: HTTPStatus
    blob: Blob | None = None
    headers: tuple[tuple[str, str], ...] = ()


def answer(images: OwnImages, path: str, authorization: str) -> Answer:
    """What a GET or HEAD of `path` gets. Pure."""
    if path == "/v2/":
        return Answer(HTTPStatus.OK)
    match = _PATH.match(path)
    manifest = images.manifests.get(match["short"]) if match else None
    if not match or not manifest:
        return Answer(HTTPStatus.NOT_FOUND)
    if match["short"] == PRIVATE and authorization != _CREDENTIALS:
        return Answer(HTTPStatus.UNAUTHORIZED, headers=(("WWW-Authenticate", f'Basic realm="{REPOSITORY}"'),))
    if match["kind"] == "blobs":
        blob = images.blobs.get(match["reference"])
    else:
        blob = manifest if match["reference"] in (images.run, manifest.digest) else None
    return Answer(HTTPStatus.OK if blob else HTTPStatus.NOT_FOUND, blob)


@asynccontextmanager
async def serving(place: Place, layer: Layer, run: str, port: int = 0) -> AsyncIterator[OwnImages]:
    """A registry with the run's images on the runtime's loopback, for the length of the block.

    `port` is to be listened on, 0 for any. Raises OSError when it is taken.
    """
    with ExitStack() as made:
        bound = await place.listen(HOST, port, made)
        images = make(layer, f"{HOST}:{bound.getsockname()[1]}", run)
        listener = await SocketListener.from_socket(bound)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, lambda stream: _serve(stream, images))
            try:
                yield images
            finally:
                tasks.cancel_scope.cancel()


async def _serve(stream: SocketStream, images: OwnImages) -> None:
    """Answer the requests of one connection."""
    http = h11.Connection(h11.SERVER)
    async with stream:
        try:
            while isinstance(request := await _next(stream, http), h11.Request):
                while not isinstance(await _next(stream, http), h11.EndOfMessage):
                    pass
                await _respond(stream, http, request, images)
                if http.our_state is h11.MUST_CLOSE:
                    break
                http.start_next_cycle()
        except h11.RemoteProtocolError:
            with suppress(*_LOST):
                await stream.send(_NOT_HTTP)
        except _LOST:
            return


async def _respond(stream: SocketStream, http: h11.Connection, request: h11.Request, images: OwnImages) -> None:
    authorization = next((value.decode() for name, value in request.headers if name == b"authorization"), "")
    given = answer(images, request.target.decode().partition("?")[0], authorization)
    data = given.blob.data if given.blob else b"{}"
    headers = [*given.headers, ("Content-Length", str(len(data)))]
    if given.blob:
        headers += [("Content-Type", given.blob.media_type), ("Docker-Content-Digest", given.blob.digest)]
    await stream.send(http.send(h11.Response(status_code=given.status, headers=headers)) or b"")
    if request.method != b"HEAD":
        for at in range(0, len(data), _CHUNK):
            await stream.send(http.send(h11.Data(data=data[at : at + _CHUNK])) or b"")
    await stream.send(http.send(h11.EndOfMessage()) or b"")


async def _next(stream: SocketStream, http: h11.Connection) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        try:
            http.receive_data(await stream.receive())
        except anyio.EndOfStream:
            http.receive_data(b"")
    return event
