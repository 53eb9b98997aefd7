"""Which AppArmor profile a container runs under.

Source: containerd `internal/cri/server/container_create_linux.go` (`generateApparmorSpecOpts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.seccomp import from_string

if TYPE_CHECKING:
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.policy import Policy

DEFAULT_PROFILE = "cri-containerd.apparmor.d"


def profile(context: cri.LinuxContainerSecurityContext, policy: Policy, facts: NodeFacts) -> str:
    """The profile's name, "" for unconfined. InvalidArgument for one that the node can't enforce."""
    kinds = cri.SecurityProfileProfileType
    asked = context.apparmor or from_string(context.apparmor_profile)
    if not facts.apparmor or policy.disable_apparmor:
        if asked is not None and asked.profile_type != kinds.Unconfined:
            raise InvalidArgument(
                "config.linux.security_context.apparmor: AppArmor is not supported on this node: "
                "only profile_type Unconfined can be had"
            )
        return ""
    if asked is not None and asked.profile_type == kinds.Localhost:
        return asked.localhost_ref.removeprefix("localhost/")
    if context.privileged or (asked is not None and asked.profile_type == kinds.Unconfined):
        return ""
    return DEFAULT_PROFILE
