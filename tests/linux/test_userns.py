"""User namespaces with a network namespace of their own, both kept by files. These need root."""

from __future__ import annotations

import fcntl
import os
import subprocess

import pytest

from cri_shim import errors
from cri_shim.linux import netns, userns
from cri_shim.linux.userns import IdMapping

NS_GET_USERNS = 0xB701  # ioctl_ns(2)
MAPPING = [IdMapping(0, 100_000, 65536)]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.geteuid() != 0, reason="mapping other users' ids needs root"),
]


@pytest.fixture
async def paths(tmp_path):
    user, net = str(tmp_path / "pinned/user"), str(tmp_path / "netns/one")
    yield user, net
    for path in (net, user):
        await netns.remove(path)


def left(paths):
    return [path for path in paths if os.path.lexists(path)]


def owner_of(path):
    """The inode of the user namespace that owns the namespace at `path`."""
    with open(path, "rb") as namespace:
        fd = fcntl.ioctl(namespace, NS_GET_USERNS)
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def in_user_namespace(path, *command: str):
    return subprocess.run(["nsenter", f"--user={path}", *command], capture_output=True, text=True, check=True).stdout


async def test_the_network_belongs_to_the_user_namespace_and_ids_are_mapped(paths):
    user, net = paths
    await userns.create(user, net, MAPPING, MAPPING)
    assert owner_of(net) == os.stat(user).st_ino
    assert in_user_namespace(user, "cat", "/proc/self/uid_map").split() == ["0", "100000", "65536"]
    assert in_user_namespace(user, "cat", "/proc/self/gid_map").split() == ["0", "100000", "65536"]
    assert await netns.loopback_up(net) == ("127.0.0.1", "::1")


async def test_a_refused_mapping_leaves_nothing(paths):
    user, net = paths
    with pytest.raises(OSError, match="Invalid argument"):
        await userns.create(user, net, [IdMapping(0, 0, 0)], MAPPING)
    assert left(paths) == []


async def test_a_path_in_use_is_refused_and_nothing_else_is_left(paths):
    user, net = paths
    await netns.create(net)
    with pytest.raises(errors.AlreadyExists):
        await userns.create(user, net, MAPPING, MAPPING)
    assert left(paths) == [net]
    assert netns.is_netns(net)
