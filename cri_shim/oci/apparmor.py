"""Which AppArmor profile a container runs under.

Source: containerd `internal/cri/sputil/apparmor_linux.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import FailedPrecondition, InvalidArgument
from cri_shim.oci.fields import CONTEXT
from cri_shim.oci.security_profile import asked_profile

if TYPE_CHECKING:
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.policy import Policy

DEFAULT_PROFILE = "cri-containerd.apparmor.d"
_FIELD = f"{CONTEXT}.apparmor"
_KINDS = cri.SecurityProfileProfileType


def profile(context: cri.LinuxContainerSecurityContext, policy: Policy, facts: NodeFacts, host: HostView) -> str:
    """The profile's name, "" for none. `host` loads the default one where the kernel hasn't it.

    A privileged container runs under a Localhost profile, too, but not under the default one. Raises InvalidArgument
    for a profile that the node hasn't, FailedPrecondition for a node that can't tell, or can't load the default one.
    """
    asked = asked_profile(_FIELD, context.apparmor, [(f"{CONTEXT}.apparmor_profile", context.apparmor_profile)])
    kind = asked.profile_type if asked is not None else None
    if policy.disable_apparmor or not facts.apparmor:
        if kind not in (None, _KINDS.Unconfined):
            reason = "disable_apparmor is set" if policy.disable_apparmor else "the node doesn't have it"
            raise InvalidArgument(f"{_FIELD}: apparmor is not supported: {reason}; only Unconfined can be had")
        return ""
    if asked is not None and kind == _KINDS.Localhost:
        return _loaded(asked.localhost_ref, host)
    return "" if context.privileged or kind == _KINDS.Unconfined else _loaded(DEFAULT_PROFILE, host)


def _loaded(name: str, host: HostView) -> str:
    try:
        if host.apparmor_loaded(name):
            return name
    except OSError as error:
        raise FailedPrecondition(f"{_FIELD}: apparmor profile {name} can't be looked for or loaded: {error}") from error
    raise InvalidArgument(
        f"{_FIELD}: apparmor profile not found {name}: load it on the node (apparmor_parser -r), or use RuntimeDefault"
    )
