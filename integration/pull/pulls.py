"""Pulls as tests make them: of which image, led to which servers, with which trouble, and what is left of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from grpclib import GRPCError

from cri_shim.api.runtime import v1 as cri
from integration.harness.own_registry import PASSWORD, USER, OwnRegistry, Trouble
from integration.images.build import CERTS_D

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integration.harness.assembly import RunningNode
    from integration.kubelet import Kubelet

HOST, PORT = "own.test", 5001
IMAGE = f"{HOST}/plain:1"
BLOBS = "GET .*/blobs/"
LAYER_SIZE = 3 << 20
ARCHIVE = "/var/lib/sandbox.tar"
STALLED_AFTER = 2  # seconds
ACCOUNT = cri.AuthConfig(username=USER, password=PASSWORD)
AT_ONCE = 2  # layers


def lead(node: RunningNode, *servers: str, more: str = "") -> None:
    """Have `HOST` mean these servers, asked in this order; `more` goes to each."""
    hosts = "".join(f'[host."{one}"]\ncapabilities = ["pull", "resolve"]\n{more}\n' for one in servers)
    node.node.write(f"{CERTS_D}/{HOST}/hosts.toml", f'server = "{servers[-1]}"\n{hosts}')


async def pull(client: Kubelet, name: str = IMAGE, auth: cri.AuthConfig | None = None) -> str:
    request = cri.PullImageRequest(image=cri.ImageSpec(image=name), auth=auth)
    return (await client.images.pull_image(request)).image_ref


def ingests(node: RunningNode) -> list[str]:
    """What has come in part."""
    return (node.peer or node.containerd).ctr("content", "active").splitlines()[1:]


async def refusal(client: Kubelet, name: str = IMAGE, auth: cri.AuthConfig | None = None) -> GRPCError:
    """What a pull is refused with; nothing of the image is to be seen then."""
    with pytest.raises(GRPCError) as caught:
        await pull(client, name, auth)
    assert await client.image(name) is None
    return caught.value


@contextmanager
def troubled(registry: OwnRegistry, trouble: Trouble) -> Iterator[Trouble]:
    registry.troubles.append(trouble)
    yield trouble
    registry.troubles.remove(trouble)
