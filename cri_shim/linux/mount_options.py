"""Mount options as containerd writes them, in fstab's words, split into mount(2)'s flags, propagation and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cri_shim import errors
from cri_shim.linux import syscalls as sc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SET: Final = {
    "bind": sc.MS_BIND,
    "defaults": 0,
    "dirsync": sc.MS_DIRSYNC,
    "mand": sc.MS_MANDLOCK,
    "noatime": sc.MS_NOATIME,
    "nodev": sc.MS_NODEV,
    "nodiratime": sc.MS_NODIRATIME,
    "noexec": sc.MS_NOEXEC,
    "nosuid": sc.MS_NOSUID,
    "nosymfollow": sc.MS_NOSYMFOLLOW,
    "rbind": sc.MS_BIND | sc.MS_REC,
    "relatime": sc.MS_RELATIME,
    "remount": sc.MS_REMOUNT,
    "ro": sc.MS_RDONLY,
    "strictatime": sc.MS_STRICTATIME,
    "sync": sc.MS_SYNCHRONOUS,
}
_CLEAR: Final = {
    "async": sc.MS_SYNCHRONOUS,
    "atime": sc.MS_NOATIME,
    "dev": sc.MS_NODEV,
    "diratime": sc.MS_NODIRATIME,
    "exec": sc.MS_NOEXEC,
    "nomand": sc.MS_MANDLOCK,
    "norelatime": sc.MS_RELATIME,
    "nostrictatime": sc.MS_STRICTATIME,
    "rw": sc.MS_RDONLY,
    "suid": sc.MS_NOSUID,
}
_PROPAGATION: Final = {
    "private": sc.MS_PRIVATE,
    "shared": sc.MS_SHARED,
    "slave": sc.MS_SLAVE,
    "unbindable": sc.MS_UNBINDABLE,
    "rprivate": sc.MS_PRIVATE | sc.MS_REC,
    "rshared": sc.MS_SHARED | sc.MS_REC,
    "rslave": sc.MS_SLAVE | sc.MS_REC,
    "runbindable": sc.MS_UNBINDABLE | sc.MS_REC,
}
_ID_MAPS: Final = ("uidmap=", "gidmap=")


@dataclass(frozen=True, slots=True)
class MountOptions:
    """`flags` for the mount itself; `propagation` flags to set after it (0: leave); `recursive_readonly` for `rro`;
    `data` is what the file system itself reads. `id_maps` are the users' and the groups' ids as files show them, in
    containerd's words; none where the ids are what they are.
    """

    flags: int = 0
    propagation: int = 0
    recursive_readonly: bool = False
    data: str = ""
    id_maps: tuple[str, str] | None = None

    @property
    def readonly_bind(self) -> bool:
        """A bind mount ignores `ro`, and has to be remounted for it."""
        wanted = sc.MS_BIND | sc.MS_RDONLY
        return self.flags & wanted == wanted


def parse(options: Iterable[str]) -> MountOptions:
    """Split `options`; of two that contradict each other the later wins; an unknown one is the file system's.

    Raises `errors.Unimplemented` for options that nothing here acts on: loop devices, and those of containerd's mount
    service; `errors.InvalidArgument` where the ids of users are mapped without those of groups, or the reverse.
    """
    flags = propagation = 0
    recursive = False
    data, maps = [], dict[str, str]()
    for option in options:
        if option in _SET:
            flags |= _SET[option]
        elif option in _CLEAR:
            flags &= ~_CLEAR[option]
        elif option in _PROPAGATION:
            propagation = _PROPAGATION[option]
        elif option == "rro":
            recursive = True
        elif option.startswith(_ID_MAPS):
            name, _, value = option.partition("=")
            maps[name] = value
        else:
            data.append(_for_filesystem(option))
    return MountOptions(flags, propagation, recursive, ",".join(data), _both(maps))


def _both(maps: Mapping[str, str]) -> tuple[str, str] | None:
    if not maps:
        return None
    if len(maps) < len(_ID_MAPS):
        raise errors.InvalidArgument(f"mount options map ids by {', '.join(maps)} alone: uidmap and gidmap go together")
    return maps["uidmap"], maps["gidmap"]


def readonly(options: Sequence[str]) -> tuple[str, ...]:
    """The same mount, but read-only: an overlay loses its upper directory to the top of its lower ones.

    ID maps are left out: who owns a file matters to those who write.
    """
    upper = "".join(option.removeprefix("upperdir=") for option in options if option.startswith("upperdir="))
    kept = [option for option in options if not option.startswith(("upperdir=", "workdir=", *_ID_MAPS))]
    if upper:
        kept = [
            option.replace("lowerdir=", f"lowerdir={upper}:", 1) if _is_lower(option) else option for option in kept
        ]
    return (*(option for option in kept if option not in {"rw", "ro"}), "ro")


def _is_lower(option: str) -> bool:
    return option.startswith("lowerdir=")


def _for_filesystem(option: str) -> str:
    if option == "loop" or option.startswith("X-containerd."):
        raise errors.Unimplemented(f"mount option {option!r} is for containerd's mount service, not for mount(2)")
    return option
