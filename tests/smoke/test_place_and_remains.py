"""Where a run's things are, by which names, and whether it is alive."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import Unavailable
from cri_shim.smoke import cgroups, directories, place
from cri_shim.smoke.place import Place
from cri_shim.smoke.sweep import _OWN_IMAGE, Remains

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_cgroups_are_named_as_the_driver_wants_them() -> None:
    assert cgroups.parent(cri.CgroupDriver.CGROUPFS, "ab12", "pod-1") == "/cri-smoke-ab12/pod-1"
    assert cgroups.parent(cri.CgroupDriver.SYSTEMD, "ab12", "pod-1") == "cri_smoke_ab12-pod_1.slice"
    assert cgroups.parent(None, "ab12", "pod-1") == ""


def test_cgroups_of_a_run_are_removed_in_each_hierarchy_and_others_are_not(tmp_path: Path) -> None:
    for path in ("cri-smoke-aa/pod-1/x", "memory/cri-smoke-aa/pod-1", "memory/cri-smoke-bb", "memory/other"):
        (tmp_path / "sys/fs/cgroup" / path).mkdir(parents=True)
    there = Place(root=str(tmp_path))
    assert cgroups.runs(there) == {"aa", "bb"}
    cgroups.remove(there, "aa")
    assert cgroups.runs(there) == {"bb"}
    assert (tmp_path / "sys/fs/cgroup/memory/other").exists()


async def test_a_run_is_alive_as_long_as_its_directory_is_held(tmp_path: Path) -> None:
    there = Place(root=str(tmp_path))
    async with directories.made(there, "0123abcd"):
        assert directories.is_alive(there, "0123abcd")
        assert await directories.runs(there) == {"0123abcd"}
        (tmp_path / "var/lib/cri-smoke/0123abcd/log").write_text("x")
    assert not directories.is_alive(there, "0123abcd")
    assert await directories.runs(there) == set()
    assert not (tmp_path / "var/lib/cri-smoke").exists()


async def test_what_serves_in_our_namespaces_is_where_we_are(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(tmp_path / "cri.sock"))
        server.listen()
        found = await place.find(f"unix://{tmp_path / 'cri.sock'}")
    assert (found.root, found.network) == ("", "")


async def test_nobody_at_the_socket_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file or directory; is a CRI runtime listening there"):
        await place.find(f"unix://{tmp_path / 'cri.sock'}")


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("127.0.0.1:39/cri-smoke/tools:0123abcd", "0123abcd"),
        ("127.0.0.1:39/cri-smoke/tools@sha256:00", None),
        ("127.0.0.1:39/cri-smoker/tools:0123abcd", False),
        ("example.com/cri-smoke/tools:0123abcd", False),
    ],
)
def test_only_our_own_images_are_swept(name: str, run: object) -> None:
    match = _OWN_IMAGE.match(name)
    assert (match["run"] if match else False) == run


def test_nothing_is_nothing() -> None:
    assert not Remains((), (), ())
    assert str(Remains((), (), ())) == "nothing"
    assert str(Remains(("a", "b"), (), ("c",))) == "pods: 2, directories: 1"
