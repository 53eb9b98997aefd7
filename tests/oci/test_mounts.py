from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.defaults import default_mounts
from cri_shim.oci.mounts import cgroup_mount, chosen, merged, with_node_sys, without, writable_kernel
from cri_shim.oci.paths import clean
from cri_shim.oci.spec import Mount
from tests.oci.node import FakeHost


def mounts(*places: str, source: str = "/src") -> list[cri.Mount]:
    return [cri.Mount(container_path=place, host_path=f"{source}/{number}") for number, place in enumerate(places)]


def places(found: list[cri.Mount]) -> list[str]:
    return [mount.container_path for mount in found]


def test_outer_mounts_come_before_inner_ones_and_else_the_order_stays() -> None:
    assert places(chosen(mounts("/a/b", "/z", "/a", "/a/b/../c/"), [])) == ["/z", "/a", "/a/b", "/a/b/../c/"]


def test_the_request_takes_the_place_of_what_the_pod_and_the_image_bring() -> None:
    found = chosen(mounts("/etc//hosts"), mounts("/etc/hosts", "/etc/hostname", source="/pod"))
    assert places(found) == ["/etc//hosts", "/etc/hostname"]


def test_two_mounts_of_the_request_at_one_place_both_stay() -> None:
    assert [mount.host_path for mount in chosen(mounts("/a", "/a"), [])] == ["/src/0", "/src/1"]


PLACES = st.lists(st.text(alphabet="ab/", max_size=6).map(lambda text: "/a" + text))


@given(PLACES, PLACES)
def test_nothing_of_the_request_is_lost_and_no_mount_is_covered_by_one_above_it(
    wanted: list[str], extra: list[str]
) -> None:
    found = chosen(mounts(*wanted), mounts(*extra, source="/extra"))
    assert sorted(mount.container_path for mount in found if mount.host_path.startswith("/src")) == sorted(wanted)
    taken = {clean(place) for place in wanted}
    assert {clean(place) for place in extra} - taken <= {clean(place) for place in places(found)}
    for number, mount in enumerate(found):
        above = clean(mount.container_path).rstrip("/") + "/"
        assert not any(clean(earlier).startswith(above) for earlier in places(found[:number]))


def destinations(*wanted: str) -> list[str]:
    return [mount.destination for mount in merged(default_mounts(), mounts(*wanted), FakeHost())]


def test_defaults_come_first_but_for_those_that_a_mount_takes_the_place_of() -> None:
    assert destinations("/data") == ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/data"]
    assert destinations("/sys/") == ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys/"]
    assert destinations("/dev/shm") == ["/proc", "/dev", "/dev/pts", "/dev/mqueue", "/sys", "/dev/shm"]


def test_a_mount_at_dev_takes_the_place_of_all_below_it() -> None:
    assert destinations("/dev") == ["/proc", "/sys", "/dev"]


def test_without_drops_one_place() -> None:
    assert [mount.destination for mount in without([Mount("/run/"), Mount("/run/x")], "/run")] == ["/run/x"]


def test_the_cgroup_mount_keeps_the_nodes_options_where_it_is_the_nodes() -> None:
    assert cgroup_mount(["nsdelegate"], writable=False) == Mount(
        "/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro", "nsdelegate"]
    )
    assert cgroup_mount([], writable=True).options[-1] == "rw"


def test_a_privileged_container_can_write_sysfs_and_cgroups_and_no_mount_else() -> None:
    before = [
        Mount("/sys", "sysfs", options=["nosuid", "ro"]),
        Mount("/sys/fs/cgroup", "cgroup", options=["ro", "nsdelegate"]),
        Mount("/data", "bind", options=["ro"]),
    ]
    assert [mount.options for mount in writable_kernel(before)] == [["nosuid", "rw"], ["rw", "nsdelegate"], ["ro"]]
    assert before[0].options == ["nosuid", "ro"]


def test_the_nodes_sys_takes_the_place_of_a_new_one() -> None:
    found = with_node_sys(default_mounts())
    assert [mount.destination for mount in found] == [mount.destination for mount in default_mounts()]
    assert found[-1] == Mount("/sys", "bind", "/sys", ["rbind", "rro", "nosuid", "nodev", "noexec"])
