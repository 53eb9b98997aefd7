"""The images that the node has, in memory: by id, by the beginning of one, by any reference.

containerd's image store is the truth; this is a picture of it, renewed name by name as its events come, and whole after
a lost stream. Images brought by others (`ctr images import`, nerdctl, `kind load`) get the name of their id and the
label of ours on the way. Source: containerd `internal/cri/store/image/image.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
import structlog

from cri_shim import codec
from cri_shim.api.containerd.services.images.v1 import images_pb2 as pb
from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import AlreadyExists, CriError, InvalidArgument, NotFound
from cri_shim.state import reference
from cri_shim.state.image_content import read_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cri_shim.containerd.client import Client
    from cri_shim.oci.image import ImageConfig

log = structlog.get_logger(__name__)

MANAGED_LABEL, MANAGED = "io.cri-containerd.image", "managed"
PINNED_LABEL, PINNED = "io.cri-containerd.pinned", "pinned"
_AT_ONCE = 8


@dataclass(frozen=True)
class ImageRecord:
    """One image; `references` are in containerd's order, so that the first is what a container's record names."""

    id: str  # `sha256:…` of its configuration
    target: str  # `sha256:…` of what its names point to: an index or a manifest
    references: tuple[str, ...]
    pinned_references: frozenset[str]
    chain_id: str
    size: int
    config: ImageConfig
    annotations: Mapping[str, str] = field(default_factory=dict)  # of its index and manifest

    @property
    def pinned(self) -> bool:
        """Whether it must not be collected."""
        return bool(self.pinned_references)

    @property
    def repo_tags(self) -> list[str]:
        """The references with a tag."""
        return [name for name in self.references if reference.rank(name)[0] <= 2]  # noqa: PLR2004  (ranks of tags)

    @property
    def repo_digests(self) -> list[str]:
        """The references with a digest."""
        return [name for name in self.references if reference.rank(name)[0] in (1, 3)]

    def to_cri(self) -> cri.Image:
        """The image as the CRI tells of it: the user as a number where it is one, else by name."""
        user = self.config.process.user.partition(":")[0]
        number = int(user) if user.isascii() and user.isdecimal() else None
        return cri.Image(
            id=self.id,
            repo_tags=self.repo_tags,
            repo_digests=self.repo_digests,
            size=self.size,
            uid=cri.Int64Value(value=number) if number is not None else None,
            username=user if number is None else "",
            pinned=self.pinned,
        )


class ImageStore:
    """The picture; `architecture` is Go's name of this machine's."""

    def __init__(self, containerd: Client, architecture: str) -> None:
        self._containerd = containerd
        self._architecture = architecture
        self._images: dict[str, ImageRecord] = {}
        self._ids: dict[str, str] = {}  # by reference
        self._items: dict[str, bytes] = {}  # by id: the encoded list items, dropped when an image changes
        self._looks: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()

    def __iter__(self) -> Iterator[ImageRecord]:
        return iter(list(self._images.values()))

    def __len__(self) -> int:
        return len(self._images)

    def __contains__(self, name: object) -> bool:
        """Whether a normalised reference means an image."""
        return name in self._ids

    def get(self, image_id: str) -> ImageRecord:
        """The image of exactly that id. NotFound when there is none."""
        try:
            return self._images[image_id]
        except KeyError:
            raise NotFound(f"image {image_id!r}: not found") from None

    def resolve(self, name: str) -> ImageRecord:
        """The image that `name` means: an id, a reference, or the unambiguous beginning of an id.

        Raises NotFound when there is none, InvalidArgument for an empty or ambiguous name.
        """
        if not name:
            raise InvalidArgument("the image is not named: give a reference or an id")
        if reference.is_digest(name):
            return self.get(name)
        try:
            found = self._ids.get(str(reference.normalised(name)))
        except InvalidArgument:
            found = None
        return self._images[found] if found else self._by_prefix(name)

    def _by_prefix(self, name: str) -> ImageRecord:
        wanted = f"sha256:{name.removeprefix('sha256:')}"
        matches = [image_id for image_id in self._images if image_id.startswith(wanted)]
        if not matches:
            raise NotFound(f"image {name!r}: not found: pull it first")
        if len(matches) > 1:
            raise InvalidArgument(f"image id {name!r} is the beginning of {len(matches)} ids: give more of it")
        return self._images[matches[0]]

    def list_item(self, image: ImageRecord) -> bytes:
        """An image as one `images` entry of a ListImagesResponse, encoded; kept until the image changes."""
        item = self._items.get(image.id)
        if item is None:
            item = self._items[image.id] = codec.item(1, image.to_cri())
        return item

    async def load(self) -> None:
        """Make the picture anew from all names that containerd has; one that can't be read is logged and left out."""
        names = {image.name: image for image in await self._containerd.images.list()}
        for gone in set(self._ids) - set(names):
            self._forget(gone)
        limit = anyio.CapacityLimiter(_AT_ONCE)

        async def add(image: pb.Image) -> None:
            async with limit:
                try:
                    await self._add(image)
                except CriError as error:
                    log.warning("image left out", image=image.name, error=str(error))

        async with anyio.create_task_group() as tasks:
            for image in names.values():
                tasks.start_soon(add, image)

    async def refresh(self, name: str) -> ImageRecord | None:
        """Look at one name again; the image that it now means, None when it is gone.

        One look at a time for each name: a look that began before a removal must not bring the name back after it.
        """
        async with self._looks.setdefault(name, anyio.Lock()):
            try:
                image = await self._containerd.images.get(name)
            except NotFound:
                self._forget(name)
                return None
            return await self._add(image)

    async def changed(self, name: str) -> None:
        """An event told that `name` was made, changed or removed."""
        try:
            await self.refresh(name)
        except CriError as error:
            log.warning("image left out", image=name, error=str(error))

    async def _add(self, image: pb.Image) -> ImageRecord:
        known = self._images.get(self._ids.get(image.name, ""))
        pinned = image.labels.get(PINNED_LABEL) == PINNED
        if known is not None and known.target == image.target.digest:
            if pinned is not (image.name in known.pinned_references):
                change = {image.name} if pinned else set()
                self._put(replace(known, pinned_references=known.pinned_references - {image.name} | change))
            return self._images[known.id]
        content = await read_image(self._containerd.content, image.target.digest, self._architecture)
        image_id = content.config_descriptor.digest
        if known is not None and known.id != image_id:
            self._forget(image.name)
        before = self._images.get(image_id)
        record = ImageRecord(
            id=image_id,
            target=image.target.digest,
            references=tuple(sorted({*(before.references if before else ()), image.name}, key=reference.rank)),
            pinned_references=(before.pinned_references if before else frozenset())
            | ({image.name} if pinned else frozenset()),
            chain_id=content.chain_ids[-1] if content.chain_ids else "",
            size=content.size,
            config=content.config,
            annotations=content.annotations,
        )
        self._put(record)
        self._ids[image.name] = image_id
        if image.labels.get(MANAGED_LABEL) != MANAGED:
            await self._adopt(image, image_id)
        return record

    async def _adopt(self, image: pb.Image, image_id: str) -> None:
        """Give an image that somebody else brought what one of ours has: the name of its id, and the label."""
        labels = {MANAGED_LABEL: MANAGED}
        await self.name_image(pb.Image(name=image_id, target=image.target), labels)
        await self.name_image(image, labels)

    async def name_image(self, image: pb.Image, labels: Mapping[str, str]) -> None:
        """Have `image.name` mean `image.target`, with at least `labels`; nothing is written when it does already."""
        images = self._containerd.images
        wanted = pb.Image(name=image.name, target=image.target, labels=dict(labels))
        try:
            await images.create(wanted)
        except AlreadyExists:
            there = await images.get(image.name)
            changed = [f"labels.{key}" for key, value in labels.items() if there.labels.get(key) != value]
            if there.target.digest != image.target.digest:
                changed.append("target")
            if changed:
                await images.update(wanted, *changed)

    def _put(self, record: ImageRecord) -> None:
        self._images[record.id] = record
        self._items.pop(record.id, None)

    def _forget(self, name: str) -> None:
        """Take a reference away; the image goes with its last one."""
        image_id = self._ids.pop(name, None)
        image = self._images.get(image_id or "")
        if image is None:
            return
        left = tuple(item for item in image.references if item != name)
        self._items.pop(image.id, None)
        if left:
            self._put(replace(image, references=left, pinned_references=image.pinned_references - {name}))
        else:
            del self._images[image.id]
