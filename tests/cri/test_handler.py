from __future__ import annotations

from dataclasses import replace

import pytest

from cri_shim.api.containerd.types.runc.options import oci_pb2
from cri_shim.api.runtime import v1 as cri
from cri_shim.config import default
from cri_shim.config.settings import RuntimeHandler
from cri_shim.containerd import typeurl
from cri_shim.cri.handler import choose_handler, oci_runtime, runtime_choice, runtime_options
from cri_shim.cri.runtime_config import cgroup_driver
from cri_shim.errors import InvalidArgument, Unimplemented
from cri_shim.linux.oci_runtime import OciRuntime
from cri_shim.state.sandbox import RuntimeChoice

RUNC = "io.containerd.runc.v2"
UNTRUSTED = {"io.kubernetes.cri.untrusted-workload": "true"}


def test_no_handler_is_the_default_one_and_an_unknown_one_is_refused_with_those_there_are() -> None:
    settings = default()
    runc = settings.runtime.containerd.runtimes["runc"]
    assert choose_handler(settings, cri.PodSandboxConfig(), "") is runc
    assert choose_handler(settings, cri.PodSandboxConfig(), "runc") is runc
    with pytest.raises(InvalidArgument, match=r'no runtime for "kata" is configured.*runc'):
        choose_handler(settings, cri.PodSandboxConfig(), "kata")


@pytest.mark.parametrize(("key", "value"), [("sandboxer", "shim"), ("io_type", "streaming")])
def test_a_handler_that_asks_for_another_way_to_run_pods_is_refused_by_the_key(key: str, value: str) -> None:
    settings = default()
    handler = RuntimeHandler(runtime_type=RUNC, **{key: value})  # type: ignore[arg-type]
    containerd = replace(settings.runtime.containerd, runtimes={"runc": handler})
    settings = replace(settings, runtime=replace(settings.runtime, containerd=containerd))
    with pytest.raises(Unimplemented, match=f'"runc" is configured with {key} = "{value}"'):
        choose_handler(settings, cri.PodSandboxConfig(), "")


def test_an_untrusted_pod_shares_nothing_with_the_node_and_has_its_own_handler() -> None:
    settings = default()
    with pytest.raises(InvalidArgument, match='"untrusted" is configured'):
        choose_handler(settings, cri.PodSandboxConfig(annotations=UNTRUSTED), "")
    with pytest.raises(InvalidArgument, match="leave one of them out"):
        choose_handler(settings, cri.PodSandboxConfig(annotations=UNTRUSTED), "runc")
    options = cri.NamespaceOption(network=cri.NamespaceMode.NODE)
    linux = cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(namespace_options=options))
    with pytest.raises(InvalidArgument, match="can't share the node's"):
        choose_handler(settings, cri.PodSandboxConfig(annotations=UNTRUSTED, linux=linux), "")


def test_runcs_options_are_its_message_whatever_the_case_of_their_keys() -> None:
    handler = RuntimeHandler(runtime_type=RUNC, options={"SystemdCgroup": True, "binaryname": "/usr/bin/crun"})
    packed = runtime_options(handler)
    assert packed is not None
    assert packed.type_url == "containerd.runc.v1.Options"
    assert typeurl.unpack(packed, oci_pb2.Options) == oci_pb2.Options(systemd_cgroup=True, binary_name="/usr/bin/crun")
    assert runtime_options(RuntimeHandler(runtime_type=RUNC)) is None


def test_the_snapshotter_is_the_handlers_else_the_images() -> None:
    settings = default()
    assert runtime_choice(settings, RuntimeHandler(runtime_type=RUNC)).snapshotter == "overlayfs"
    assert runtime_choice(settings, RuntimeHandler(runtime_type=RUNC, snapshotter="native")).snapshotter == "native"


def test_the_cgroup_driver_is_the_default_handlers_else_what_the_node_runs() -> None:
    settings = default()
    assert cgroup_driver(settings, systemd_runs=True) is cri.CgroupDriver.CGROUPFS
    handlers = {"a": RuntimeHandler(runtime_type=RUNC, options={"SystemdCgroup": True})}
    runtime = replace(
        settings.runtime, containerd=replace(settings.runtime.containerd, runtimes=handlers, default_runtime_name="a")
    )
    assert cgroup_driver(replace(settings, runtime=runtime), systemd_runs=False) is cri.CgroupDriver.SYSTEMD
    runtime = replace(runtime, containerd=replace(runtime.containerd, runtimes={"k": RuntimeHandler("kata")}))
    assert cgroup_driver(replace(settings, runtime=runtime), systemd_runs=True) is cri.CgroupDriver.SYSTEMD


def test_the_runtime_behind_runcs_shim_is_what_the_options_name() -> None:
    options = oci_pb2.Options(binary_name="/usr/bin/crun", root="/run/elsewhere", systemd_cgroup=True)
    named = oci_runtime(RuntimeChoice(RUNC, typeurl.pack(options)), "k8s.io")
    assert named == OciRuntime("/usr/bin/crun", "/run/elsewhere/k8s.io", systemd_cgroup=True)
    assert oci_runtime(RuntimeChoice(RUNC), "k8s.io") == OciRuntime("runc", "/run/containerd/runc/k8s.io")
    assert oci_runtime(RuntimeChoice("io.containerd.kata.v2"), "k8s.io") is None
