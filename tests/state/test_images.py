"""The picture of containerd's images: how names come, change, move and go."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest

from cri_shim.api.containerd.services.images.v1.images_pb2 import Image
from cri_shim.api.containerd.types.descriptor_pb2 import Descriptor
from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import decode
from cri_shim.errors import AlreadyExists, InvalidArgument, NotFound
from cri_shim.state.images import MANAGED, MANAGED_LABEL, PINNED, PINNED_LABEL, ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def sha(digit: str, first: str = "") -> str:
    return "sha256:" + (first + digit * 64)[:64]


TAG, OTHER_TAG = "docker.io/library/busybox:1.36", "docker.io/library/busybox:latest"
DIGEST = f"docker.io/library/busybox@{sha('a')}"


class FakeImages:
    def __init__(self) -> None:
        self.records: dict[str, Image] = {}
        self.updates: list[tuple[str, ...]] = []
        self.before_answer: Callable[[], Any] | None = None

    async def get(self, name: str) -> Image:
        if name not in self.records:
            raise NotFound(name)
        return self.records[name]

    async def list(self) -> list[Image]:
        return list(self.records.values())

    async def create(self, image: Image) -> None:
        if image.name in self.records:
            raise AlreadyExists(image.name)
        self.records[image.name] = image

    async def update(self, image: Image, *paths: str) -> None:
        self.updates.append((image.name, *paths))
        self.records[image.name].labels.update(image.labels)
        if "target" in paths:
            self.records[image.name].target.CopyFrom(image.target)


class FakeContent:
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.hold: anyio.Event | None = None

    async def read(self, digest: str) -> bytes:
        if self.hold is not None:
            await self.hold.wait()
        if digest not in self.blobs:
            raise NotFound(digest)
        return self.blobs[digest]


class Containerd:
    def __init__(self) -> None:
        self.images, self.content = FakeImages(), FakeContent()

    def bring(self, name: str, manifest: str, config: str, *, user: str = "", **labels: str) -> None:
        layer = {"digest": sha("9"), "size": 7}
        stored = {"config": {"digest": config, "size": 5}, "layers": [layer]}
        self.content.blobs[manifest] = json.dumps(stored).encode()
        rootfs = {"diff_ids": [sha("8")]}
        self.content.blobs[config] = json.dumps({"config": {"User": user}, "rootfs": rootfs}).encode()
        self.images.records[name] = Image(name=name, target=Descriptor(digest=manifest), labels=labels)


@pytest.fixture
def containerd() -> Containerd:
    return Containerd()


@pytest.fixture
def store(containerd: Containerd) -> ImageStore:
    return ImageStore(cast("Any", SimpleNamespace(images=containerd.images, content=containerd.content)), "amd64")


OURS = {MANAGED_LABEL: MANAGED}


async def test_names_of_one_image_are_one_record_tags_first(containerd: Containerd, store: ImageStore) -> None:
    for name in (sha("b"), DIGEST, TAG):
        containerd.bring(name, sha("a"), sha("b"), **OURS)
    await store.load()
    (image,) = store
    assert image.references == (TAG, DIGEST, sha("b"))
    assert (image.repo_tags, image.repo_digests) == ([TAG], [DIGEST])
    assert image.chain_id == sha("8")


async def test_an_image_is_found_by_id_reference_short_name_and_beginning(
    containerd: Containerd, store: ImageStore
) -> None:
    containerd.bring(OTHER_TAG, sha("a"), sha("b"), **OURS)
    await store.load()
    for name in (sha("b"), OTHER_TAG, "busybox", "b" * 12, "sha256:bbb", "b" * 64):
        assert store.resolve(name).id == sha("b")


async def test_an_ambiguous_or_empty_name_is_refused_and_an_unknown_one_not_found(
    containerd: Containerd, store: ImageStore
) -> None:
    containerd.bring(TAG, sha("a"), sha("1", "beef"), **OURS)
    containerd.bring(OTHER_TAG, sha("c"), sha("2", "beef"), **OURS)
    await store.load()
    for bad in ("beef", ""):
        with pytest.raises(InvalidArgument):
            store.resolve(bad)
    for missing in ("feed", "nginx", sha("d"), "UPPER/case"):
        with pytest.raises(NotFound):
            store.resolve(missing)


async def test_an_image_goes_with_its_last_name(containerd: Containerd, store: ImageStore) -> None:
    for name in (DIGEST, TAG):
        containerd.bring(name, sha("a"), sha("b"), **OURS)
    await store.load()
    del containerd.images.records[TAG]
    assert await store.refresh(TAG) is None
    assert store.get(sha("b")).references == (DIGEST,)
    del containerd.images.records[DIGEST]
    await store.changed(DIGEST)
    assert len(store) == 0


async def test_a_tag_that_moves_leaves_its_old_image(containerd: Containerd, store: ImageStore) -> None:
    for name in (DIGEST, TAG):
        containerd.bring(name, sha("a"), sha("b"), **OURS)
    await store.load()
    containerd.bring(TAG, sha("c"), sha("d"), **OURS)
    await store.changed(TAG)
    assert store.resolve(TAG).id == sha("d")
    assert store.get(sha("b")).references == (DIGEST,)


async def test_an_image_is_pinned_while_one_of_its_names_is(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), **OURS)
    containerd.bring(DIGEST, sha("a"), sha("b"), **OURS, **{PINNED_LABEL: PINNED})
    await store.load()
    assert store.get(sha("b")).pinned
    del containerd.images.records[DIGEST].labels[PINNED_LABEL]
    await store.changed(DIGEST)
    assert not store.get(sha("b")).pinned


async def test_somebody_elses_image_gets_the_name_of_its_id_and_our_label(
    containerd: Containerd, store: ImageStore
) -> None:
    containerd.bring(TAG, sha("a"), sha("b"))
    await store.load()
    assert containerd.images.records[sha("b")].labels == OURS
    assert containerd.images.records[TAG].labels == OURS


async def test_naming_an_image_again_writes_nothing(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), **OURS)
    await store.name_image(Image(name=TAG, target=Descriptor(digest=sha("a"))), OURS)
    assert containerd.images.updates == []
    await store.name_image(Image(name=TAG, target=Descriptor(digest=sha("c"))), {**OURS, PINNED_LABEL: PINNED})
    assert containerd.images.updates == [(TAG, f"labels.{PINNED_LABEL}", "target")]


async def test_an_image_that_is_incomplete_is_left_out_alone(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), **OURS)
    containerd.bring(OTHER_TAG, sha("c"), sha("d"), **OURS)
    del containerd.content.blobs[sha("d")]
    await store.load()
    assert [image.id for image in store] == [sha("b")]


async def test_a_whole_look_forgets_what_is_gone(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), **OURS)
    await store.load()
    containerd.images.records.clear()
    await store.load()
    assert len(store) == 0


async def test_a_name_removed_while_it_is_read_stays_removed(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), **OURS)
    containerd.content.hold = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.changed, TAG)
        await anyio.sleep(0.01)
        del containerd.images.records[TAG]
        tasks.start_soon(store.changed, TAG)
        await anyio.sleep(0.01)
        containerd.content.hold.set()
    assert len(store) == 0


async def test_list_items_are_encoded_once_until_the_image_changes(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), user="1000:50", **OURS)
    await store.load()
    item = store.list_item(store.get(sha("b")))
    assert store.list_item(store.get(sha("b"))) is item
    containerd.bring(DIGEST, sha("a"), sha("b"), user="1000:50", **OURS)
    await store.changed(DIGEST)
    listed = decode(cri.ListImagesResponse, store.list_item(store.get(sha("b")))).images[0]
    assert (listed.repo_tags, listed.repo_digests, listed.uid, listed.username) == (
        [TAG],
        [DIGEST],
        cri.Int64Value(value=1000),
        "",
    )


async def test_a_user_by_name_is_told_by_name(containerd: Containerd, store: ImageStore) -> None:
    containerd.bring(TAG, sha("a"), sha("b"), user="nobody:nogroup", **OURS)
    await store.load()
    told = store.get(sha("b")).to_cri()
    assert (told.uid, told.username) == (None, "nobody")
