"""Pulls of large images from the node's registry."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from integration.images.content import File, Form, Image

if TYPE_CHECKING:
    from bench.endpoint import Endpoint

_FILE = 4 << 20  # bytes
_SETTLED = 0.5  # seconds, in which the files of a removed image go


def large_image(megabytes: int) -> Image:
    """An image of so many MB in eight layers, of files that hardly compress."""
    noise = random.Random(megabytes)
    files = [File(f"data/{number}", noise.randbytes(_FILE)) for number in range(max(8, megabytes * 10**6 // _FILE))]
    layers = tuple(tuple(files[layer::8]) for layer in range(8))
    return Image((_name(megabytes),), layers, {"Cmd": ["/data/0"]}, "for the bench", Form.OCI)


def _name(megabytes: int) -> str:
    return f"docker.io/test/large:{megabytes}"


async def pull_large(end: Endpoint, megabytes: int) -> None:
    """Pull such an image, which is not there, and remove it; how much larger that makes the server, too."""
    spec = cri.ImageSpec(image=_name(megabytes))
    before = end.rss_mebibytes()
    await end.timed(f"PullImage ({megabytes} MB)", lambda: end.images.pull_image(cri.PullImageRequest(image=spec)))
    end.record(f"server RSS growth ({megabytes} MB pulled)", end.rss_mebibytes() - before)
    await end.images.remove_image(cri.RemoveImageRequest(image=spec))
    await anyio.sleep(_SETTLED)
