"""How the files of a snapshot become those of a pod with users of its own."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cri_shim.api.containerd.services.introspection.v1.introspection_pb2 import Plugin
from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.remapping import Remapping, copy_name, remapping
from cri_shim.errors import FailedPrecondition
from cri_shim.linux.shift_owners import Owners
from cri_shim.linux.userns import IdMapping

USERS = cri.UserNamespace(
    mode=cri.NamespaceMode.POD,
    uids=[cri.IdMapping(host_id=100_000, container_id=0, length=65_536)],
    gids=[cri.IdMapping(host_id=200_000, container_id=0, length=65_536)],
)
LABELS = {
    "containerd.io/snapshot/uidmapping": "0:100000:65536",
    "containerd.io/snapshot/gidmapping": "0:200000:65536",
}


def parts(*capabilities: str) -> Any:
    async def plugins(wanted: str) -> list[Plugin]:
        assert wanted == "type==io.containerd.snapshotter.v1,id==overlayfs"
        return [Plugin(id="overlayfs", capabilities=capabilities)]

    return cast("Any", SimpleNamespace(containerd=SimpleNamespace(introspection=SimpleNamespace(plugins=plugins))))


@pytest.mark.anyio
async def test_a_snapshotter_that_maps_ids_is_told_the_mappings_by_labels() -> None:
    found = await remapping(parts("remap-ids", "only-remap-ids"), "overlayfs", "sha256:1", USERS, lease="l")
    assert found == Remapping("sha256:1", LABELS)


@pytest.mark.anyio
async def test_nothing_is_mapped_for_the_nodes_users() -> None:
    assert await remapping(parts(), "overlayfs", "sha256:1", None, lease="l") == Remapping("sha256:1")


@pytest.mark.anyio
async def test_a_snapshotter_that_would_rather_not_copy_is_named_with_what_to_do() -> None:
    with pytest.raises(FailedPrecondition, match=r"snapshotter 'overlayfs' can't map.*slow_chown"):
        await remapping(parts("only-remap-ids"), "overlayfs", "sha256:1", USERS, lease="l")


def test_a_copy_has_the_name_that_containerd_gives_it() -> None:
    document = (
        b'{"Parent":"sha256:1","IDMap":{"UidMap":[{"containerID":0,"hostID":100000,"size":65536}],'
        b'"GidMap":[{"containerID":0,"hostID":200000,"size":65536}]}}'
    )
    owners = Owners([IdMapping(0, 100_000, 65_536)], [IdMapping(0, 200_000, 65_536)])
    assert copy_name("sha256:1", owners) == f"sha256:{hashlib.sha256(document).hexdigest()}"
