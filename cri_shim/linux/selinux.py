"""SELinux on this node: whether the kernel has it, what its policy has for containers, labelling of files.

Source: selinux(8), selinux_config(5), opencontainers/selinux `go-selinux`. Everything here may block.
"""

from __future__ import annotations

import errno
import os
import pwd
from contextlib import suppress
from typing import Final

import structlog

from cri_shim import errors
from cri_shim.linux import syscalls
from cri_shim.oci.selinux import Contexts, Label

log = structlog.get_logger(__name__)

FILE_SYSTEM: Final = "/sys/fs/selinux"
POLICIES: Final = "/etc/selinux"
VENDOR_CONTEXTS: Final = "/usr/share/containers/selinux/contexts"
_CURRENT: Final = "/proc/self/attr/current"
_MAGIC: Final = 0xF97CFF8C  # SELINUX_MAGIC of linux/magic.h
ATTRIBUTE: Final = "security.selinux"
DEEPEST: Final = 400  # directories, one in the other
# What the node itself lives by: with a container's label, its own services couldn't read it any more.
_NODES_OWN: Final = frozenset({
    "/", "/bin", "/boot", "/dev", "/etc", "/etc/passwd", "/etc/pki", "/etc/shadow", "/home", "/lib", "/lib64", "/media",
    "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log",
})  # fmt: skip


def enabled(file_system: str = FILE_SYSTEM) -> bool:
    """Whether the kernel has SELinux, a policy is loaded, and we may use it: a container sees selinuxfs read-only."""
    try:
        if syscalls.filesystem_type(file_system) != _MAGIC:
            return False
        if os.statvfs(file_system).f_flag & os.ST_RDONLY:
            return False
        with open(_CURRENT, encoding="utf-8") as file:
            return file.read().rstrip("\0\n") != "kernel"
    except OSError:
        return False


def contexts_in_use(
    *, wanted: bool, there: bool, policies: str = POLICIES, vendor: str = VENDOR_CONTEXTS
) -> Contexts | None:
    """The policy's contexts for containers; None where no labels are `wanted`, or, with a warning, SELinux isn't there.

    Raises FailedPrecondition where labels would count, and the policy has none for containers: started nevertheless,
    containers would run unconfined that their operator believes to be confined.
    """
    if not wanted:
        return None
    if not there:
        log.warning("enable_selinux has no effect: the kernel has no SELinux", looked_at=FILE_SYSTEM)
        return None
    found = _settings(vendor) or _settings(_policy_contexts(policies))
    if not found.get("process") or not found.get("file"):
        raise errors.FailedPrecondition(
            f"enable_selinux = true, but neither {vendor} nor {_policy_contexts(policies)} says which labels "
            "containers have ('process' and 'file'): install the policy's package for containers (container-selinux), "
            "or set it to false"
        )
    try:
        machine = Label.parse(found.get("kvm_process") or found["process"])
        return Contexts(Label.parse(found["process"]), Label.parse(found["file"]), machine.type)
    except errors.DataLoss as error:
        raise errors.FailedPrecondition(
            f"the SELinux policy's contexts for containers can't be used: {error}"
        ) from error


def relabel(path: str, label: str) -> None:
    """Give `path`, which has no links in it, and all below it `label`, itself last.

    Nothing is followed, even if somebody changes the tree meanwhile; what has the label already isn't written to, and
    what can't have one, for its file system knows none, stays. Raises OSError, with EPERM for a directory that the node
    itself lives by.
    """
    check_relabel(path)
    _relabel(path, label, None, 0)


def check_relabel(path: str) -> None:
    """Raise OSError with EPERM for a path, however it is spelled, that the node itself lives by."""
    if os.path.realpath(path) in {os.path.realpath(own) for own in _NODES_OWN | _homes()}:
        raise PermissionError(errno.EPERM, "the node itself needs it as it is, so that it is never relabelled", path)


def _relabel(name: str, label: str, within: int | None, depth: int) -> None:
    """Label one entry of the directory open as `within`, what is below it first; one that is gone is done."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # no device is opened
    try:
        directory = os.open(name, flags, dir_fd=within)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        with suppress(FileNotFoundError):
            _set(name if within is None else f"/proc/self/fd/{within}/{name}", label)
        return
    try:
        if depth == DEEPEST:  # each level holds a file descriptor
            raise OSError(errno.ENAMETOOLONG, f"directories more than {DEEPEST} deep are not relabelled", name)
        for below in os.listdir(directory):
            _relabel(below, label, directory, depth + 1)
        _set(directory, label)
    finally:
        os.close(directory)


def _set(file: str | int, label: str) -> None:
    """Label an open directory, or what is at a path, a link itself."""
    follow = isinstance(file, int)  # which is what the calls by number want to be told
    with suppress(OSError):  # none yet, or none to be had
        if os.getxattr(file, ATTRIBUTE, follow_symlinks=follow).rstrip(b"\0") == label.encode():
            return
    try:
        os.setxattr(file, ATTRIBUTE, label.encode(), follow_symlinks=follow)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise


def _policy_contexts(policies: str) -> str:
    name = _settings(os.path.join(policies, "config")).get("SELINUXTYPE", "")
    return os.path.join(policies, name, "contexts", "lxc_contexts")


def _settings(path: str) -> dict[str, str]:
    """The settings of a file of lines `key = "value"`; none where there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file]
    except OSError:
        return {}
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith((";", "#"))]
    return {key.strip(): value.strip().strip('"') for key, _, value in pairs}


def _homes() -> set[str]:
    """Where whoever started us lives."""
    found = {os.environ.get("HOME", "")}
    with suppress(KeyError):
        found.add(pwd.getpwnam(os.environ["SUDO_USER"]).pw_dir)
    return found - {""}
