"""Network namespaces: kept by a file, `lo` up, gone without a trace. These need root, and touch only their own."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import pytest

from cri_shim import errors
from cri_shim.linux import mounts, netns, own_thread

anyio_mark = pytest.mark.anyio
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making network namespaces needs root")


@pytest.fixture
async def path(tmp_path):
    path = netns.new_path(str(tmp_path / "netns"))
    yield path
    await netns.remove(path)


def look_inside(path):
    """The addresses in the namespace, and which namespace it is."""

    def look():
        netns.enter(path)
        return netns._loopback_addresses(), os.readlink("/proc/thread-self/ns/net")

    return own_thread.call(look)


def leave_a_plain_file(path):
    Path(path).parent.mkdir()
    Path(path).touch()


def our_threads_are_all_in_one_network():
    """Soon at least: a thread may still be on its way out."""
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):
            tids = os.listdir("/proc/self/task")
            if len({os.readlink(f"/proc/self/task/{tid}/ns/net") for tid in tids}) == 1:
                return True
        time.sleep(0.01)
    return False


def exists(path):
    return os.path.lexists(path)


def test_a_new_path_looks_like_those_of_containerd_and_never_repeats():
    paths = {netns.new_path("/run/netns") for _ in range(100)}
    assert len(paths) == 100
    assert all(re.fullmatch(r"/run/netns/cni(-[0-9a-f]{8})(-[0-9a-f]{4}){3}-[0-9a-f]{12}", path) for path in paths)


def test_neither_a_missing_nor_a_plain_file_is_a_namespace(tmp_path):
    (tmp_path / "plain").touch()
    assert not netns.is_netns(str(tmp_path / "plain"))
    assert not netns.is_netns(str(tmp_path / "none"))
    assert netns.is_netns("/proc/self/ns/net")


@needs_root
@anyio_mark
class TestNamespaces:
    async def test_one_is_made_apart_from_ours_with_lo_up(self, path):
        ours = os.readlink("/proc/self/ns/net")
        await netns.create(path)
        assert netns.is_netns(path)
        assert os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o755
        addresses, inside = look_inside(path)
        assert addresses == ["127.0.0.1", "::1"]
        assert inside != ours
        assert os.readlink("/proc/self/ns/net") == ours

    async def test_the_thread_that_made_it_ends(self, path):
        await netns.create(path)
        assert our_threads_are_all_in_one_network()

    async def test_a_path_in_use_is_refused_and_left_alone(self, path):
        await netns.create(path)
        with pytest.raises(errors.AlreadyExists):
            await netns.create(path)
        assert netns.is_netns(path)

    async def test_removal_may_be_repeated(self, path):
        await netns.create(path)
        await netns.remove(path)
        assert not exists(path)
        await netns.remove(path)

    async def test_a_half_made_one_is_removed(self, path):
        leave_a_plain_file(path)
        await netns.remove(path)
        assert not exists(path)

    async def test_one_mounted_twice_is_removed(self, path):
        await netns.create(path)
        mounts.mount(path, path, "", ["bind"])
        await netns.remove(path)
        assert not exists(path)

    async def test_lo_is_brought_up_and_its_addresses_told(self, path):
        await netns.create(path)
        assert await netns.loopback_up(path) == ("127.0.0.1", "::1")

    async def test_lo_of_a_missing_namespace_is_not_found(self, path):
        with pytest.raises(errors.NotFound):
            await netns.loopback_up(path)

    async def test_lo_of_a_plain_file_is_not_found(self, path):
        leave_a_plain_file(path)
        with pytest.raises(errors.NotFound):
            await netns.loopback_up(path)
