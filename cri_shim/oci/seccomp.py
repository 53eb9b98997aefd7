"""Which system calls a container may make: all, those of a profile on the node, or those of the default one.

Source: the CRI's SecurityProfile, containerd `internal/cri/sputil/seccomp_linux.go`.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.fields import CONTEXT
from cri_shim.oci.linux_spec import Seccomp
from cri_shim.oci.seccomp_default import default_profile
from cri_shim.oci.security_profile import asked_profile
from cri_shim.oci.spec import from_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.policy import Policy

_FIELD = f"{CONTEXT}.seccomp"
_KINDS = cri.SecurityProfileProfileType


def profile(
    context: cri.LinuxContainerSecurityContext | cri.LinuxSandboxSecurityContext,
    bounding: Sequence[str],
    policy: Policy,
    facts: NodeFacts,
    host: HostView,
) -> Seccomp | None:
    """The filter that a security context asks for; None for a privileged one, and where nothing is asked for.

    `bounding` are the capabilities that the process can get. Raises InvalidArgument for a profile that can't be had.
    """
    if context.privileged:
        return None
    old = (f"{CONTEXT}.seccomp_profile_path", context.seccomp_profile_path)
    asked = asked_profile(_FIELD, context.seccomp, [old, ("unset_seccomp_profile", policy.unset_seccomp_profile)])
    if asked is None or asked.profile_type == _KINDS.Unconfined:
        return None
    if not facts.seccomp:
        raise InvalidArgument(f"{_FIELD}: seccomp is not supported by this node's kernel: only Unconfined can be had")
    if asked.profile_type == _KINDS.Localhost:
        return _localhost(asked.localhost_ref, host)
    return default_profile(facts.kernel, facts.architecture, tuple(bounding))


def _localhost(path: str, host: HostView) -> Seccomp:
    if not posixpath.isabs(path):
        raise InvalidArgument(f"{_FIELD}.localhost_ref {path!r}: it must be the absolute path of a profile on the node")
    try:
        return from_json(host.seccomp_profile(path), Seccomp)
    except OSError as error:
        raise InvalidArgument(
            f"{_FIELD}.localhost_ref: cannot load seccomp profile {path!r}: {error.strerror or error}"
        ) from error
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"{_FIELD}.localhost_ref: {path!r} is no OCI seccomp profile: {error}") from error
