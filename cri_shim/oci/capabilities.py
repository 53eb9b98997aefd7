"""Capabilities of a container: the base's, what the request adds, what it drops.

Source: containerd `internal/cri/opts/spec_opts.go` (`WithCapabilities`), `pkg/oci/spec_opts.go`. The CRI's names have
no `CAP_`. One that has it names no capability, as with containerd: what a policy for `SYS_ADMIN` lets pass as
`CAP_SYS_ADMIN` is not given. Ambient ones, which containerd leaves out, are given as the CRI says on Capability.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALL = "ALL"
_PREFIX = "CAP_"


def capabilities(
    base: Capabilities, wanted: cri.Capability | None, effective: Sequence[str], *, privileged: bool
) -> Capabilities:
    """The capability sets; `effective` are our own, all that can be given: what `ALL` and privileged mean.

    `ALL` goes before single names, and what is dropped after what is added. Ambient ones are in all sets, which a
    program keeps when it is executed by another user than root; nothing else becomes inheritable or ambient that isn't,
    and a base's ambient ones are cleared. A name that the kernel doesn't know is the runtime's to refuse.
    """
    if wanted is None:
        wanted = cri.Capability()
    ambient = _ambient(_upper(wanted.add_ambient_capabilities), effective)
    if privileged:
        return _changed(_all_of(effective, base), [], frozenset(), [name for name in ambient if name in effective])
    added, dropped = _upper(wanted.add_capabilities), _upper(wanted.drop_capabilities)
    if ALL in added:
        base = _all_of(effective, base)
    if ALL in dropped:
        base = Capabilities()
    return _changed(base, _named(added), frozenset(_named(dropped)), ambient)


def _ambient(names: Sequence[str], effective: Sequence[str]) -> list[str]:
    return [*(effective if ALL in names else ()), *_named(names)]


def _upper(names: Iterable[str]) -> list[str]:
    return [name.upper() for name in names]


def _named(names: Iterable[str]) -> list[str]:
    return [_PREFIX + name for name in names if name != ALL]


def _all_of(names: Iterable[str], base: Capabilities) -> Capabilities:
    """All of `names`; what a base spec makes inheritable stays so."""
    names = list(names)
    inheritable = [name for name in base.inheritable if name in names]
    return Capabilities(bounding=names, effective=list(names), permitted=list(names), inheritable=inheritable)


def _changed(base: Capabilities, added: Iterable[str], dropped: frozenset[str], ambient: Sequence[str]) -> Capabilities:
    everywhere = [*added, *ambient]

    def of(names: Sequence[str], added: Iterable[str]) -> list[str]:
        return [name for name in dict.fromkeys([*names, *added]) if name not in dropped]

    return Capabilities(
        bounding=of(base.bounding, everywhere),
        effective=of(base.effective, everywhere),
        permitted=of(base.permitted, everywhere),
        inheritable=of(base.inheritable, ambient),
        ambient=of((), ambient),
    )
