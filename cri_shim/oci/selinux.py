"""SELinux labels: what a request, its pod and the policy's contexts make the labels of a container's process and files.

Source: selinux(8), the SELinux Notebook on security contexts and MCS; opencontainers/selinux `go-selinux/label`
(`InitLabels`), containerd `internal/cri/server/helpers.go` (`checkSelinuxLevel`, `toLabel`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cri_shim.errors import DataLoss, InvalidArgument
from cri_shim.oci.fields import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from cri_shim.api.runtime import v1 as cri

_CATEGORIES = r"c\d{1,4}(\.c\d{1,4})?"
_LEVEL = re.compile(rf"s\d(-s\d)?(:{_CATEGORIES}(,{_CATEGORIES})*)?", re.ASCII)
_NAME = re.compile(r"[\w.+@-]*", re.ASCII)  # no colon, which parts a label, and no comma or quote, which part options
_PARTS: Final = 3  # that every label has


@dataclass(frozen=True)
class Label:
    """A security context, `user:role:type[:level]`; where it says what to change, "" stays as it is."""

    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""  # which may have colons itself; "" under a policy without MLS

    @classmethod
    def parse(cls, text: str) -> Label:
        """The label in `text`. Raises DataLoss where it is none."""
        parts = text.split(":", _PARTS)
        if len(parts) < _PARTS:
            raise DataLoss(f"{text!r} is no SELinux label: it must be user:role:type or user:role:type:level")
        return cls(*parts)

    def __str__(self) -> str:
        """The label as the kernel reads it."""
        known = (self.user, self.role, self.type)
        return ":".join((*known, self.level) if self.level else known)


@dataclass(frozen=True)
class Contexts:
    """What the policy has for containers: labels of processes and files, the type of a virtual machine's process."""

    process: Label
    file: Label
    vm_type: str


@dataclass(frozen=True)
class Labels:
    """The labels of a container, all "" without SELinux.

    `process` is what the record keeps, and containers of the pod take after; `run` is what the process gets.
    """

    process: str = ""
    mount: str = ""
    run: str = ""


NO_LABELS: Final = Labels()


def check_options(options: cri.SeLinuxOption | None) -> None:
    """Raise InvalidArgument for a level that is none, and for names that no policy could have."""
    if options is None:
        return
    for field, name in (("user", options.user), ("role", options.role), ("type", options.type)):
        if not _NAME.fullmatch(name):
            raise InvalidArgument(
                f"{CONTEXT}.selinux_options.{field} is {name!r:.100}: it may have letters, digits and any of _ . + @ -"
            )
    if options.level and not _LEVEL.fullmatch(options.level):
        raise InvalidArgument(
            f"{CONTEXT}.selinux_options.level: the format of 'level' {options.level!r} is not correct: it must be like "
            "s0, s0-s1 or s0:c12,c34.c56"
        )


def wanted(options: cri.SeLinuxOption | None, sandbox_label: str = "") -> Label:
    """What is asked for: by the options, or, where they say nothing at all, by the label of the container's sandbox.

    Raises DataLoss for a sandbox's label that is none.
    """
    asked = Label(options.user, options.role, options.type, options.level) if options is not None else Label()
    if asked != Label() or not sandbox_label:
        return asked
    inherited = Label.parse(sandbox_label)
    return inherited if inherited.user and inherited.role and inherited.type else Label()


def make_labels(
    asked: Label, contexts: Contexts, new_level: Callable[[], str], *, privileged: bool = False, in_vm: bool = False
) -> Labels:
    """The labels. `new_level` is called for a level that nobody has, where none is asked for and the policy has levels.

    Files take after the process in level and user only: their role and type are the policy's.
    """
    level = asked.level or (new_level() if contexts.process.level else "")
    process = Label(
        user=asked.user or contexts.process.user,
        role=asked.role or contexts.process.role,
        type=asked.type or contexts.process.type,
        level=level,
    )
    file = replace(contexts.file, user=asked.user or contexts.file.user, level=level or contexts.file.level)
    run = replace(process, type=contexts.vm_type) if in_vm else process
    return Labels(process=str(process), mount=str(file), run="" if privileged else str(run))


def categories(label: str) -> frozenset[int]:
    """The categories of a label's level, of a range's upper end: containers are apart if these are.

    What is no category, or no label at all, has none: it may be another program's.
    """
    found: set[int] = set()
    level = ":".join(label.split(":")[_PARTS:])
    for item in level.rpartition("-")[2].partition(":")[2].split(","):
        if re.fullmatch(_CATEGORIES, item, re.ASCII):
            first, _, last = item.replace("c", "").partition(".")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def context_option(mount_label: str) -> str:
    """The option that gives all files of a mount one label; quoted, for the label's commas. Source: mount(8)."""
    return f'context="{mount_label}"'
