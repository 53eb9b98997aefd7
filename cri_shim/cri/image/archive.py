"""The sandbox image from a file, for nodes that reach no registry: containerd's Transfer service reads it as a stream.

An OCI layout or what `docker save` writes, as tar, compressed or not. The receiver grants credit, in bytes, and the
sender never sends more. Source: containerd `core/transfer/archive`, `core/transfer/streaming/stream.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

import anyio
import structlog
from anyio import to_thread

from cri_shim.api.containerd.types.transfer import imagestore_pb2, importexport_pb2, streaming_pb2
from cri_shim.containerd import typeurl
from cri_shim.cri.image.transfer import destination
from cri_shim.errors import CriError, FailedPrecondition

if TYPE_CHECKING:
    from cri_shim.containerd.streaming import MessageStream
    from cri_shim.cri.image.transfer import Wanted
    from cri_shim.cri.parts import Parts

log = structlog.get_logger(__name__)

_PIECE: Final = 32 << 10
_NAMELESS: Final = "imported"  # the repository of images whose archive gives them no name of their own


async def import_archive(parts: Parts, path: str, wanted: Wanted) -> None:
    """Bring all images of the archive into containerd's store, unpacked for this machine.

    Raises FailedPrecondition when the file can't be read, and what containerd says of its content.
    """
    try:
        file = await to_thread.run_sync(open, path, "rb")
    except OSError as error:
        raise FailedPrecondition(f"sandbox_image_archive {path!r} can't be read: {error.strerror}") from error
    failure = None
    with file:
        async with (
            parts.containerd.leases.temporary() as lease,
            parts.containerd.streaming.open("import") as stream,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_send, file, stream)
            source = importexport_pb2.ImageImportStream(stream=stream.id)
            nameless = imagestore_pb2.ImageReference(name=_NAMELESS, is_prefix=True, allow_overwrite=True)
            try:
                end = await destination(parts, wanted, "", [nameless])
                await parts.containerd.transfer(source, end, lease=lease)
            except CriError as error:
                failure = error
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure.because(f"sandbox_image_archive {path!r} can't be imported")


async def _send(file: BinaryIO, stream: MessageStream) -> None:
    """Send the file piece by piece, as far as there is credit for it."""
    credit = 0
    try:
        async for message in stream:
            credit += typeurl.unpack(message, streaming_pb2.WindowUpdate).update
            while credit > 0:
                piece = await to_thread.run_sync(file.read, min(_PIECE, credit))
                if not piece:
                    await stream.end()
                    return
                await stream.send(streaming_pb2.Data(data=piece))
                credit -= len(piece)
    except (CriError, OSError) as error:  # the transfer itself tells what is wrong
        log.debug("an archive's stream is lost", error=str(error))
