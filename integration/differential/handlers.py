"""What a handler's configuration makes of a pod and its containers."""

from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import (
    BASED,
    GROUPS,
    Capabilities,
    Context,
    Mode,
    Options,
    Pod,
    Resources,
    case,
    device,
    env,
    mount,
    number,
    pod,
)
from integration.differential.nodes import UNIFIED

ON_NODE = Options(network=Mode.NODE)
ANNOTATIONS = {
    "pod.example/a": "1", "pod.example/a/b": "2", "pod.example/": "3", "container.example/a": "4",
    "both": "5", "neither": "6", "io.kubernetes.cri.sandbox-id": "mine",
}  # fmt: skip
OWN_ANNOTATIONS = {
    "container.example/a": "7", "container.example/ab": "8", "pod.example/a": "9", "both": "10", "bx": "11",
    "dx": "12", "io.kubernetes.cri.container-type": "mine",
}  # fmt: skip
ANNOTATED = pod(handler="annotated", namespace_options=ON_NODE, fields={"annotations": ANNOTATIONS})
BASED_PRIVILEGED = pod(handler="based", namespace_options=ON_NODE, privileged=True)
DEVICELESS = pod(handler="deviceless", namespace_options=ON_NODE, privileged=True)
ALLOWED = pod(handler="allowed", namespace_options=ON_NODE, privileged=True)
WRITABLE = pod(handler="writable", namespace_options=ON_NODE, privileged=True)
SYSTEMD = pod(
    handler="systemd", namespace_options=ON_NODE, linux={"cgroup_parent": "/kubepods.slice/kubepods-pod1.slice"}
)
STRICT = cri.SupplementalGroupsPolicy.Strict
UNCONFINED = cri.SecurityProfile(profile_type=cri.SecurityProfileProfileType.Unconfined)
DEVICE = [device("/dev/nothing")]


def on(name: str) -> Pod:
    return pod(handler=name, namespace_options=ON_NODE)


ON_UNIFIED_CGROUPS = (
    case("cgroups to be written", pod=WRITABLE),
    case("cgroups to be written, privileged", Context(privileged=True), pod=WRITABLE),
)

CASES = (
    *(ON_UNIFIED_CGROUPS if UNIFIED else ()),
    case("runc, by name", pod=on("runc")),
    case("crun", pod=on("crun")),
    case(
        "crun with everything",
        Context(run_as_user=number(7), readonly_rootfs=True),
        Resources(cpu_shares=9),
        pod=on("crun"),
    ),
    case("none that there is", pod=on("nonsense")),
    case("options of runc's", pod=on("optioned")),
    case("systemd's cgroups", pod=SYSTEMD),
    case("systemd's cgroups, but no slice", pod=on("systemd")),
    case("a path of the runtime's", pod=on("path")),
    case("another snapshotter", pod=on("native")),
    case("another network configuration", pod=pod(handler="networked")),
    case("an untrusted workload", pod=pod(fields={"annotations": {"io.kubernetes.cri.untrusted-workload": "true"}})),
    case(
        "an untrusted workload on the node's network",
        pod=pod(namespace_options=ON_NODE, fields={"annotations": {"io.kubernetes.cri.untrusted-workload": "true"}}),
    ),
    case(
        "an untrusted workload with another handler",
        pod=pod(handler="crun", fields={"annotations": {"io.kubernetes.cri.untrusted-workload": "true"}}),
    ),
    case("annotations of the pod", pod=ANNOTATED),
    case("annotations of the pod and of the container", pod=ANNOTATED, annotations=OWN_ANNOTATIONS),
    case("privileged without devices", Context(privileged=True), pod=DEVICELESS),
    case("privileged with a device", Context(privileged=True), pod=DEVICELESS, devices=DEVICE),
    case("privileged with leave for all devices", Context(privileged=True), pod=ALLOWED),
    case("privileged with leave for all devices, and one", Context(privileged=True), pod=ALLOWED, devices=DEVICE),
    case("not privileged with leave for all devices", pod=ALLOWED),
    # ── a base spec, and what each field makes of it ────────────────────────────────────────────────────────────────
    case("a base spec", pod=BASED),
    case("a base spec, privileged", Context(privileged=True), pod=BASED_PRIVILEGED),
    case("a base spec, privileged, and a device", Context(privileged=True), pod=BASED_PRIVILEGED, devices=DEVICE),
    case("a base spec and a device", pod=BASED, devices=DEVICE),
    case("a base spec and a user", Context(run_as_user=number(7), run_as_group=number(8)), pod=BASED, tty=True),
    case("a base spec and the user 0", Context(run_as_user=number(0)), pod=BASED),
    case("a base spec and variables", pod=BASED, envs=env(B="2", BASE="other")),
    case("a base spec and a directory", pod=BASED, working_dir="/tmp"),
    case(
        "a base spec and resources",
        Context(no_new_privs=True),
        Resources(
            cpu_quota=5000,
            hugepage_limits=[cri.HugepageLimit(page_size="2MB", limit=4)],
            oom_score_adj=7,
            unified={"memory.low": "2"},
        ),
        pod=BASED,
    ),
    case(
        "a base spec and capabilities",
        Context(capabilities=Capabilities(add_capabilities=["CHOWN"], drop_capabilities=["KILL"])),
        pod=BASED,
    ),
    case("a base spec and all capabilities", Context(capabilities=Capabilities(add_capabilities=["ALL"])), pod=BASED),
    case("a base spec and no capabilities", Context(capabilities=Capabilities(drop_capabilities=["ALL"])), pod=BASED),
    case("a base spec and no filter", Context(seccomp=UNCONFINED), pod=BASED),
    case("a base spec and the default filter", Context(seccomp=cri.SecurityProfile()), pod=BASED),
    case(
        "a base spec and masked paths",
        Context(masked_paths=["/a"], readonly_paths=["/b"], readonly_rootfs=True),
        pod=BASED,
    ),
    case("a base spec and mounts", pod=BASED, mounts=[mount("/base"), mount("/proc"), mount("/run")]),
    case(
        "a base spec and propagation",
        pod=BASED,
        mounts=[mount("/a", propagation=cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER)],
    ),
    case("a base spec and pids of its own", Context(namespace_options=Options(pid=Mode.CONTAINER)), pod=BASED),
    case("a base spec and groups", Context(supplemental_groups=[5]), pod=BASED),
    case("a base spec and strictly no groups", Context(supplemental_groups_policy=STRICT), pod=BASED),
    case(
        "a base spec and strictly these groups",
        Context(supplemental_groups_policy=STRICT, supplemental_groups=[5]),
        pod=BASED,
    ),
    case("a base spec and the image's groups", Context(run_as_user=number(1000)), pod=BASED, image=GROUPS),
)
