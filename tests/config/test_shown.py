"""The settings as containerd shows them."""

from __future__ import annotations

from cri_shim.config import default
from cri_shim.config.shown import shown

# The names that containerd 2.1 shows, as its users' scripts look them up.
RUNTIME = set(
    """
    containerd cni enableSelinux selinuxCategoryRange maxContainerLogLineSize disableApparmor restrictOOMScoreAdj
    disableProcMount unsetSeccompProfile tolerateMissingHugetlbController disableHugetlbController
    device_ownership_from_security_context ignoreImageDefinedVolumes netnsMountsUnderStateDir enableUnprivilegedPorts
    enableUnprivilegedICMP enableCDI cdiSpecDirs drainExecSyncIOTimeout ignoreDeprecationWarnings containerdRootDir
    containerdEndpoint rootDir stateDir
    """.split()  # noqa: SIM905
)
HANDLER = set(
    """
    runtimeType runtimePath PodAnnotations ContainerAnnotations options privileged_without_host_devices
    privileged_without_host_devices_all_devices_allowed cgroupWritable baseRuntimeSpec cniConfDir cniMaxConfNum
    snapshotter sandboxer io_type
    """.split()  # noqa: SIM905
)
CNI = set("binDir binDirs confDir maxConfNum setupSerially confTemplate ipPref useInternalLoopback".split())  # noqa: SIM905


def test_every_name_that_containerd_shows_is_there():
    found = shown(default())
    assert set(found) >= RUNTIME
    assert set(found["containerd"]["runtimes"]["runc"]) >= HANDLER
    assert set(found["cni"]) == CNI


def test_a_runtimes_options_keep_their_own_names():
    assert "SystemdCgroup" in shown(default())["containerd"]["runtimes"]["runc"]["options"]


def test_a_time_span_is_written_as_go_writes_it():
    assert shown(default())["statsCollectPeriod"] == "1s"
