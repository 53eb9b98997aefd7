from __future__ import annotations

import json
from typing import Any, cast

import pytest

from cri_shim.errors import DataLoss, FailedPrecondition, NotFound
from cri_shim.state.image_content import chain_ids, read_image

pytestmark = pytest.mark.anyio


class Blobs:
    """A content store in a dictionary."""

    def __init__(self, **blobs: object) -> None:
        self.blobs = {name: json.dumps(value).encode() for name, value in blobs.items()}

    async def read(self, digest: str) -> bytes:
        if digest not in self.blobs:
            raise NotFound(digest)
        return self.blobs[digest]


CONFIG = {"architecture": "amd64", "os": "linux", "config": {"User": "1000"}, "rootfs": {"diff_ids": ["sha256:a"]}}
MANIFEST = {"config": {"digest": "config", "size": 100}, "layers": [{"digest": "l1", "size": 10}] * 2}
INDEX = {
    "manifests": [
        {"digest": "arm", "size": 1, "platform": {"os": "linux", "architecture": "arm64"}},
        {"digest": "manifest", "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
    ]
}


async def read(blobs: Blobs, digest: str) -> Any:
    return await read_image(cast("Any", blobs), digest, "amd64")


async def test_an_index_leads_to_the_manifest_for_this_machine() -> None:
    blobs = Blobs(index=INDEX, manifest=MANIFEST, config=CONFIG)
    image = await read(blobs, "index")
    assert image.config.process.user == "1000"
    assert image.config_descriptor.digest == "config"
    assert image.size == len(blobs.blobs["index"]) + len(blobs.blobs["manifest"]) + 100 + 20


async def test_an_index_without_this_machine_says_what_it_has() -> None:
    with pytest.raises(FailedPrecondition, match=r"linux/amd64, only for \['linux/arm64'\]"):
        await read(Blobs(index={"manifests": INDEX["manifests"][:1]}), "index")


@pytest.mark.parametrize("blob", [[], "x", {}, {"config": 3}, {"manifests": [{"digest": "loop"}]}])
async def test_a_blob_that_is_no_images_is_refused(blob: object) -> None:
    with pytest.raises(DataLoss):
        await read(Blobs(loop=blob), "loop")


async def test_a_missing_blob_is_not_found() -> None:
    with pytest.raises(NotFound):
        await read(Blobs(manifest=MANIFEST), "manifest")


def test_chain_ids_are_those_of_the_image_specification() -> None:
    layers = ["sha256:" + "1" * 64, "sha256:" + "2" * 64]
    assert chain_ids(layers)[0] == layers[0]
    assert chain_ids(layers)[1] == "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5"
    assert chain_ids([]) == []


@pytest.mark.parametrize(
    ("architecture", "variants", "chosen"),
    [
        ("amd64", ["v3", "v2", ""], 2),
        ("amd64", ["v1", "v2"], 0),
        ("arm64", ["v9", "v8"], 1),
        ("arm", ["v5", "v6", "v7"], 2),
        ("arm", ["v8", "v6"], 1),
        ("riscv64", ["rva23", ""], 1),
    ],
)
async def test_of_several_variants_the_one_that_containerd_fetches_is_read(
    architecture: str, variants: list[str], chosen: int
) -> None:
    entries = [
        {"digest": f"m{number}", "platform": {"os": "linux", "architecture": architecture, "variant": variant}}
        for number, variant in enumerate(variants)
    ]
    manifest = {"config": {"digest": "right"}}
    blobs = Blobs(index={"manifests": entries}, right=CONFIG, **{f"m{chosen}": manifest})
    image = await read_image(cast("Any", blobs), "index", architecture)
    assert image.config_descriptor.digest == "right"


async def test_an_entry_for_any_platform_is_only_a_last_resort() -> None:
    any_platform = {"digest": "any"}
    blobs = Blobs(
        both={"manifests": [any_platform, INDEX["manifests"][1]]},
        one={"manifests": [any_platform]},
        any={"config": {"digest": "other"}},
        manifest=MANIFEST,
        config=CONFIG,
        other=CONFIG,
    )
    assert (await read(blobs, "both")).config_descriptor.digest == "config"
    assert (await read(blobs, "one")).config_descriptor.digest == "other"


async def test_an_index_with_only_another_variant_is_refused() -> None:
    entry = {"digest": "m", "platform": {"os": "linux", "architecture": "amd64", "variant": "v4"}}
    with pytest.raises(FailedPrecondition, match="nothing for linux/amd64"):
        await read(Blobs(index={"manifests": [entry]}), "index")
