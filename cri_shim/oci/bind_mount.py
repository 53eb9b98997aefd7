"""One mount of a request: checked by itself first, so that a refusal leaves no directory behind, then made a bind.

Source: containerd `internal/cri/opts/spec_linux_opts.go` (`withMounts`), the CRI's words on Mount.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import checks
from cri_shim.oci.host_view import Propagation
from cri_shim.oci.namespaces import id_mappings
from cri_shim.oci.spec import Mount

if TYPE_CHECKING:
    from cri_shim.oci.host_view import HostView
    from cri_shim.oci.policy import Policy

RRO_UNSUPPORTED = "RROUnsupported"  # the kubelet looks for this prefix

_PRIVATE = cri.MountPropagation.PROPAGATION_PRIVATE
_SLAVE = cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER
_SHARED = cri.MountPropagation.PROPAGATION_BIDIRECTIONAL
_IDS = 2**32 - 1  # the last one is nobody's (chown(2): leave it as it is)
_OPTIONS = ("noexec", "nodev", "nosuid")  # that a mount may have of its own, by the CRI
_OPTION = {_PRIVATE: "rprivate", _SLAVE: "rslave", _SHARED: "rshared"}
# What the mount that the source is on has to be, in the words that go into a refusal.
_NEEDED = {
    _SLAVE: ((Propagation.SHARED, Propagation.SLAVE), "a shared or slave mount"),
    _SHARED: ((Propagation.SHARED,), "a shared mount"),
}


def check_fields(field: str, mount: cri.Mount) -> None:
    """Raise InvalidArgument for a value that says nothing; `field` is where the mount is in the request."""
    checks.no_nul(f"{field}.container_path", mount.container_path)
    checks.no_nul(f"{field}.host_path", mount.host_path)
    checks.one_of(f"{field}.propagation", mount.propagation, cri.MountPropagation)
    for option in mount.mount_options:
        if option not in _OPTIONS:
            raise InvalidArgument(
                f"{field}.mount_options has {option!r:.100}: there may be {', '.join(_OPTIONS)}; what else a mount can "
                "be is asked for by readonly and propagation"
            )
    mappings = {"uid_mappings": mount.uid_mappings, "gid_mappings": mount.gid_mappings}
    for name, found in mappings.items():
        for index, mapping in enumerate(found):
            _check_mapping(f"{field}.{name}[{index}]", mapping)
        if not found and any(mappings.values()):
            raise InvalidArgument(f"{field}.{name} is empty, and the other is not: ids of users and groups go together")


def _check_mapping(field: str, mapping: cri.IdMapping) -> None:
    if mapping.length < 1 or max(mapping.container_id, mapping.host_id) + mapping.length > _IDS:
        raise InvalidArgument(
            f"{field} is {mapping.container_id}:{mapping.host_id}:{mapping.length}: it must be of one id at least, and "
            f"of none above {_IDS - 1}"
        )


def check(mount: cri.Mount, policy: Policy) -> None:
    """Raise InvalidArgument for a mount that no host could make as asked."""
    if not mount.container_path:
        raise InvalidArgument(f"config.mounts: the mount of {mount.host_path!r} has no container_path")
    if not posixpath.isabs(mount.host_path):
        raise InvalidArgument(
            f"{_where(mount)} has the host_path {mount.host_path!r}: it must be an absolute path of the node"
        )
    if mount.recursive_read_only:
        _check_recursive(mount, policy)
    if mount.uid_mappings and not policy.user_namespaces:  # a runtime that doesn't know them would leave them out
        raise InvalidArgument(
            f"{_where(mount)} has uid_mappings and gid_mappings, but the pod's runtime can't map ids of mounts (see "
            "`features` of the OCI runtime): leave them out, or use another runtime handler"
        )


def _check_recursive(mount: cri.Mount, policy: Policy) -> None:
    asks = f"{_where(mount)} asks for recursive_read_only"
    if not mount.readonly:
        raise InvalidArgument(f"{asks}, but not for readonly: set both")
    if not policy.recursive_read_only_mounts:
        raise InvalidArgument(
            f"{RRO_UNSUPPORTED}: {asks}, which the runtime of this pod's handler can't do: it takes runc 1.1 or "
            "crun 1.8.6, on Linux 5.12"
        )
    if mount.propagation != _PRIVATE:
        name = mount.propagation.name or int(mount.propagation)
        raise InvalidArgument(f"{asks}: its propagation must be PROPAGATION_PRIVATE, not {name}")


def _where(mount: cri.Mount) -> str:
    return f"config.mounts: the mount at {mount.container_path!r}"


def bind(mount: cri.Mount, host: HostView, mount_label: str = "") -> Mount:
    """The bind mount. A source that isn't there is made, as a directory; one to be relabelled gets `mount_label`.

    Raises InvalidArgument for a source that can't be had or relabelled, or that is on a mount whose propagation doesn't
    do.
    """
    try:
        source = host.real_path(mount.host_path)
        _check_propagation(mount, source, host)
    except OSError as error:
        raise InvalidArgument(
            f"{_where(mount)}: its host_path {mount.host_path!r} can't be had: {error.strerror or error}"
        ) from error
    if mount.selinux_relabel and mount_label:
        _relabel(mount, source, mount_label, host)
    access = "rro" if mount.recursive_read_only else "ro" if mount.readonly else "rw"
    return Mount(
        mount.container_path,
        "bind",
        source,
        ["rbind", _OPTION[mount.propagation], access, *dict.fromkeys(mount.mount_options)],
        uid_mappings=id_mappings(mount.uid_mappings),
        gid_mappings=id_mappings(mount.gid_mappings),
    )


def _relabel(mount: cri.Mount, source: str, label: str, host: HostView) -> None:
    """Make the source this container's, and those's of the same level: there is no sharing with others in the CRI."""
    try:
        host.relabel(source, label)
    except OSError as error:
        raise InvalidArgument(
            f"{_where(mount)} asks for selinux_relabel: {error.filename or source!r} can't have the label {label!r}: "
            f"{error.strerror or error}"
        ) from error


def _check_propagation(mount: cri.Mount, source: str, host: HostView) -> None:
    if mount.propagation not in _NEEDED:
        return
    allowed, words = _NEEDED[mount.propagation]
    found = host.mount_of(source)
    if found.propagation not in allowed:
        raise InvalidArgument(
            f"{_where(mount)}: path {source!r} is mounted on {found.point!r} but it is not {words}: make it one "
            f"(mount --make-rshared {found.point}), or ask for PROPAGATION_PRIVATE"
        )


def rootfs_propagation(base: str, mounts: list[cri.Mount]) -> str:
    """The propagation that the root has to have for these mounts to see or pass on others; "" is the runtime's own."""
    asked = {mount.propagation for mount in mounts}
    if _SHARED in asked:
        return "rshared"
    return "rslave" if _SLAVE in asked and base != "rshared" else base
