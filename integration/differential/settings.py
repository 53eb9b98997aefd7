"""What the node's settings make of specs: a node with all of them turned round."""

from __future__ import annotations

from typing import Any

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import (
    TURNED,
    VOLUMES,
    Context,
    Mode,
    Options,
    Resources,
    case,
    device,
    number,
    pod,
)

OWN_NETWORK = pod(node=TURNED)
ON_NODE = pod(node=TURNED, namespace_options=Options(network=Mode.NODE))
PRIVILEGED = pod(node=TURNED, privileged=True, namespace_options=Options(network=Mode.NODE))
UNCONFINED = cri.SecurityProfile(profile_type=cri.SecurityProfileProfileType.Unconfined)
HUGE = Resources(hugepage_limits=[cri.HugepageLimit(page_size="2MB", limit=4 << 20)])
PATHS: dict[str, Any] = {"masked_paths": ["/proc/kcore"], "readonly_paths": ["/proc/sys"]}

CASES = (
    case("nothing in particular", pod=OWN_NETWORK),
    case("on the node's network", pod=ON_NODE),
    case("a filter where none is asked for", pod=ON_NODE),
    case("no filter", Context(seccomp=UNCONFINED), pod=ON_NODE),
    case("a label", Context(selinux_options=cri.SeLinuxOption(type="spc_t", level="s0:c1,c2")), pod=ON_NODE),
    case("a device for a user", Context(run_as_user=number(7)), pod=ON_NODE, devices=[device("/dev/x")]),
    case(
        "a device for a user and a group",
        Context(run_as_user=number(7), run_as_group=number(8)),
        pod=ON_NODE,
        devices=[device("/dev/x")],
    ),
    case("a device for root", Context(run_as_user=number(0)), pod=ON_NODE, devices=[device("/dev/x")]),
    case("paths that are masked anyhow", Context(**PATHS), pod=ON_NODE),
    case("privileged", Context(privileged=True), pod=PRIVILEGED),
    case("an OOM score below the daemon's", resources=Resources(oom_score_adj=-999), pod=ON_NODE),
    case("huge pages", resources=HUGE, pod=ON_NODE),
    case("AppArmor's default", Context(apparmor=cri.SecurityProfile()), pod=ON_NODE),
    case("volumes of the image", image=VOLUMES, pod=ON_NODE),
    case("sysctls", pod=pod(node=TURNED, linux={"sysctls": {"net.ipv4.ip_unprivileged_port_start": "80"}})),
)
