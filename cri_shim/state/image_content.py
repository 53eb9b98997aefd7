"""What an image is, read from its blobs: manifest, configuration, layers, for this node's platform.

Source: OCI image-spec (`image-index.md`, `manifest.md`, `config.md`), Docker's schema 2 with the same keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import msgspec

from cri_shim.errors import DataLoss, FailedPrecondition
from cri_shim.oci.image import ImageConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cri_shim.containerd.content import Content

T = TypeVar("T")

# An index in an index is allowed by the specification; more of them is somebody's joke.
_DEEPEST = 4


class Platform(msgspec.Struct, frozen=True):
    """What an entry of an index is for."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A blob that another one refers to."""

    digest: str
    size: int = 0
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class _Manifest(msgspec.Struct, frozen=True):
    """An index or a manifest: what it has tells which."""

    manifests: list[Descriptor] | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    annotations: dict[str, str] | None = None


@dataclass(frozen=True)
class ImageContent:
    """An image for one platform: its id is the digest of `config_descriptor`."""

    manifest: str  # its digest
    config_descriptor: Descriptor
    config: ImageConfig
    layers: tuple[Descriptor, ...]
    size: int  # of the index, the manifest, the configuration and the compressed layers, in bytes
    annotations: Mapping[str, str]  # of the index and the manifest

    @property
    def chain_ids(self) -> list[str]:
        """The names of the layers' snapshots, from the lowest up."""
        return chain_ids(self.config.rootfs.diff_ids)


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The chain ids of a stack of layers (OCI image-spec, `config.md`, "Layer ChainID")."""
    found: list[str] = []
    for diff_id in diff_ids:
        if found:
            diff_id = "sha256:" + hashlib.sha256(f"{found[-1]} {diff_id}".encode()).hexdigest()  # noqa: PLW2901
        found.append(diff_id)
    return found


async def read_image(content: Content, digest: str, architecture: str) -> ImageContent:
    """The image at `digest`, an index or a manifest, for Linux on `architecture` (Go's name of it).

    Raises NotFound for a blob that isn't there, FailedPrecondition when the index has nothing for this node, DataLoss
    for a blob that is none of an image's.
    """
    size, manifest = 0, None
    annotations: dict[str, str] = {}
    for _ in range(_DEEPEST):
        data = await content.read(digest)
        size += len(data)
        manifest = _decoded(data, _Manifest, digest)
        annotations.update(manifest.annotations or {})
        if not manifest.manifests:
            break
        digest = _choose(manifest.manifests, digest, architecture).digest
    if manifest is None or manifest.config is None:
        raise DataLoss(f"blob {digest} is no image manifest: it has no config")
    config = _decoded(await content.read(manifest.config.digest), ImageConfig, manifest.config.digest)
    layers = tuple(manifest.layers or ())
    return ImageContent(
        manifest=digest,
        config_descriptor=manifest.config,
        config=config,
        layers=layers,
        size=size + manifest.config.size + sum(layer.size for layer in layers),
        annotations=annotations,
    )


def _choose(manifests: Sequence[Descriptor], digest: str, architecture: str) -> Descriptor:
    """The entry that containerd has fetched: the best variant; one for any platform only when there is no other."""
    ranked = [(rank, item) for item in manifests if (rank := _fitness(item.platform, architecture)) is not None]
    if not ranked:
        there = sorted(f"{item.platform.os}/{item.platform.architecture}" for item in manifests if item.platform)
        raise FailedPrecondition(f"image index {digest} has nothing for linux/{architecture}, only for {there}")
    return min(ranked, key=lambda pair: pair[0])[1]


# containerd pulls for the architecture's plain variant; what asks for more of the processor it passes over.
_VARIANTS = {"amd64": ("", "v1"), "arm64": ("", "v8"), "arm": ("v7", "", "v6", "v5")}


def _fitness(platform: Platform | None, architecture: str) -> int | None:
    """The place in the order of preference, None for what does not run here."""
    if platform is None:
        return len(_VARIANTS["arm"])
    if (platform.os, platform.architecture) != ("linux", architecture):
        return None
    variants = _VARIANTS.get(architecture, ("",))
    return variants.index(platform.variant) if platform.variant in variants else None


def _decoded(data: bytes, kind: type[T], digest: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise DataLoss(f"blob {digest} can't be read as an image's: {error}") from error
