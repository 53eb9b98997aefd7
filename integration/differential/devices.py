"""The node's devices in a container."""

from __future__ import annotations

from integration.differential.case import Context, case, device, number

CASES = (
    case("a device", devices=[device("/dev/nothing")]),
    case("a device to be read", devices=[device("/dev/nothing", permissions="r")]),
    case("a device without permissions", devices=[device("/dev/nothing", permissions="")]),
    case("a device elsewhere", devices=[device("/some/where//else")]),
    case("a device without a place", devices=[device("", "/dev/full", "r")]),
    case("a device at a place that is no path", devices=[device("nothing")]),
    case("a device by a link", devices=[device("/dev/in", "/proc/self/fd/0"), device("/dev/linked", "/dev/ptmx")]),
    case("a directory of devices", devices=[device("/dev/net2", "/dev/net")]),
    case("a directory of devices without a place", devices=[device("", "/dev/net")]),
    case("all devices", devices=[device("/dev/x", "/dev")]),
    case("two devices at one place", devices=[device("/dev/x"), device("/dev/x", "/dev/zero", "r")]),
    case("one device at two places", devices=[device("/dev/x"), device("/dev/y")]),
    case("a device for a user", Context(run_as_user=number(7), run_as_group=number(8)), devices=[device("/dev/x")]),
    case("a device that isn't there", devices=[device("/dev/x", "/dev/nonexistent")]),
    case("a device that is none", devices=[device("/dev/x", "/etc/hostname")]),
    case("a device with permissions that there aren't", devices=[device("/dev/x", permissions="rx")]),
)
