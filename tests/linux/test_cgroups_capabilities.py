"""What the kernel's text files say, read."""

from __future__ import annotations

from cri_shim.linux import capabilities, cgroups


def test_memberships_are_read_in_both_forms():
    text = "4:cpu,cpuacct:/a\n1:name=systemd:/b:c\n0::/system.slice/x.service\n"
    found = cgroups.parse_memberships(text)
    assert [(m.hierarchy, m.controllers, m.path) for m in found] == [
        (4, ("cpu", "cpuacct"), "/a"),
        (1, ("name=systemd",), "/b:c"),
        (0, (), "/system.slice/x.service"),
    ]


def test_only_enabled_subsystems_count():
    text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t2\t1\nmemory\t0\t3\t0\n"
    assert cgroups.parse_subsystems(text) == {"cpu"}


def test_this_machine_can_be_read():
    assert cgroups.controllers()
    assert cgroups.own_group().startswith("/")


def test_capabilities_are_named_by_their_bit():
    assert capabilities.from_mask(0b1000_0000_0001) == {"CAP_CHOWN", "CAP_NET_BROADCAST"}
    assert capabilities.from_mask(1 << 63) == frozenset()


def test_ours_are_among_those_the_kernel_knows():
    assert capabilities.effective() <= set(capabilities.known())
    assert capabilities.known()[21] == "CAP_SYS_ADMIN"
