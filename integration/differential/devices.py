"""The node's devices in a container."""

from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import Context, case, device, mount, number

VENDOR = "vendor.example/"


def cdi(name: str) -> cri.CdiDevice:
    """A device of the specifications in `nodes`."""
    return cri.CdiDevice(name=f"{VENDOR}{name}")


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
    case("a CDI device", CDI_devices=[cdi("thing=0")]),
    case("a CDI device for a user", Context(run_as_user=number(7)), CDI_devices=[cdi("thing=whole")]),
    case("two CDI devices", CDI_devices=[cdi("thing=whole"), cdi("thing=0"), cdi("thing=whole")]),
    case("two CDI devices the other way round", CDI_devices=[cdi("thing=0"), cdi("thing=whole")]),
    case(
        "CDI devices and others at their places",
        CDI_devices=[cdi("thing=0")],
        devices=[device("/dev/thing0"), device("/dev/thing0", "/dev/zero"), device("/dev/full")],
        mounts=[mount("/thing/etc"), mount("/thing"), mount("/z/y/x/w")],
        envs=[cri.KeyValue("THING", b"mine")],
    ),
    case("CDI devices by an annotation", annotations={"cdi.k8s.io/a": f"{VENDOR}thing=0,{VENDOR}twice=b"}),
    case(
        "CDI devices by a field and by an annotation",
        CDI_devices=[cdi("twice=b")],
        annotations={"cdi.k8s.io/a": f"{VENDOR}thing=0,{VENDOR}twice=b"},
    ),
    case("a CDI device of a later directory", CDI_devices=[cdi("twice=b")]),
    case("a CDI device that two files have", CDI_devices=[cdi("twice=a")]),
    case("CDI devices that there aren't", CDI_devices=[cdi("thing=0"), cdi("thing=1"), cdi("none=1")]),
    case("a CDI device that takes a newer version", CDI_devices=[cdi("newer=a")]),
    case("a CDI device with an unknown edit", CDI_devices=[cdi("unknown=a")]),
    case("a CDI device of a file with another suffix", CDI_devices=[cdi("txt=a")]),
    case("a CDI device of a directory below", CDI_devices=[cdi("deep=a")]),
    case("a CDI device that the node hasn't", CDI_devices=[cdi("thing=missing")]),
    case("a CDI device that is a directory", CDI_devices=[cdi("thing=a-directory")]),
    case("a CDI device of another type", CDI_devices=[cdi("thing=another-type")]),
    case("a name that is no CDI device's", CDI_devices=[cri.CdiDevice(name="thing")]),
    case("an annotation that names no CDI device", annotations={"cdi.k8s.io/a": "thing"}),
    case("an empty annotation for CDI devices", annotations={"cdi.k8s.io/a": ""}),
    case("a device with permissions that there aren't", devices=[device("/dev/x", permissions="rx")]),
)
