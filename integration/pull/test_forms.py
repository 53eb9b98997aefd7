"""Every form of an image, and what is none: pulled, unpacked where it is wanted, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from grpclib.const import Status

from integration.images.content import ARCHITECTURE, File, Form, layer_tar
from integration.images.store import Store, canonical, digest

if TYPE_CHECKING:
    from integration.harness.assembly import RunningNode
    from integration.harness.own_registry import OwnRegistry
    from integration.kubelet import Kubelet

from integration.pull.pulls import HOST, pull, refusal

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.mark.parametrize("form", ["uncompressed", *(form.name.lower() for form in Form)])
async def test_every_form_of_an_image_is_pulled(client: Kubelet, registry: OwnRegistry, form: str) -> None:
    name = f"{HOST}/form/{form}:1"
    image_id = await pull(client, name)
    digest = registry.digest_of(f"form/{form}:1")
    found = await client.image(name)
    assert found is not None
    assert found.id == image_id
    assert found.repo_digests == [f"{HOST}/form/{form}@{digest}"]
    await client.remove_image(name)
    assert await pull(client, f"{HOST}/form/{form}@{digest}") == image_id
    found = await client.image(image_id)
    assert found is not None
    assert (found.repo_tags, found.repo_digests) == ([], [f"{HOST}/form/{form}@{digest}"])


async def test_a_layer_in_zstd_is_pulled_and_read(client: Kubelet, registry: OwnRegistry, store: Store) -> None:
    del registry
    layer = layer_tar((File("data", b"in zstd"),))
    config = {"os": "linux", "architecture": ARCHITECTURE, "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    described = store._blob("application/vnd.oci.image.config.v1+json", canonical(config))
    manifest = {
        "config": described,
        "layers": [store._blob("application/vnd.oci.image.layer.v1.tar+zstd", zstd(layer))],
    }
    store.tags[f"{HOST}/zstd:1"] = store._keep("application/vnd.oci.image.manifest.v1+json", manifest)["digest"]
    assert await pull(client, f"{HOST}/zstd:1") == described["digest"]


def zstd(data: bytes) -> bytes:
    """A frame of raw blocks (RFC 8878, section 3.1.1): valid, and not smaller than what is in it."""
    pieces = [data[start : start + (64 << 10)] for start in range(0, len(data), 64 << 10)]
    blocks = [
        (len(piece) << 3 | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
        for number, piece in enumerate(pieces)
    ]
    return b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little") + b"".join(blocks)


@pytest.mark.shim_only
@pytest.mark.usefixtures("registry")
async def test_an_index_without_this_machine_is_refused(client: Kubelet) -> None:
    """Improvement: containerd refuses it too, but keeps its name."""
    assert "nothing for linux/" in ((await refusal(client, f"{HOST}/foreign/index:1")).message or "")


@pytest.mark.shim_only
@pytest.mark.usefixtures("registry")
async def test_an_image_for_other_machines_is_refused(client: Kubelet, pulling: RunningNode) -> None:
    """Improvement: containerd takes a manifest that stands alone, whatever it is for."""
    error = await refusal(client, f"{HOST}/foreign/alone:1")
    assert error.status is Status.FAILED_PRECONDITION
    assert "is for linux/riscv64" in (error.message or "")
    assert "foreign" not in pulling.containerd.ctr("images", "list", "-q")


@pytest.mark.shim_only
async def test_an_artifact_is_refused(client: Kubelet, registry: OwnRegistry, store: Store) -> None:
    """Improvement: containerd shows it as an image without layers."""
    del registry
    empty, text = store._blob("application/vnd.oci.empty.v1+json", b"{}"), store._blob("text/plain", b"hello")
    manifest = {"artifactType": "text/plain", "config": empty, "layers": [text]}
    store.tags[f"{HOST}/artifact:1"] = store._keep("application/vnd.oci.image.manifest.v1+json", manifest)["digest"]
    error = await refusal(client, f"{HOST}/artifact:1")
    assert error.status is Status.FAILED_PRECONDITION
    assert "no container image" in (error.message or "")
