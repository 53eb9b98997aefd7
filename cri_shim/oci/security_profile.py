"""Which seccomp or AppArmor profile is asked for: the new field, else the old string.

Source: the CRI's SecurityProfile; containerd `internal/cri/sputil/securityprofile_linux.go` for the strings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCALHOST = "localhost/"
_KINDS = cri.SecurityProfileProfileType
_NAMES = {"runtime/default": _KINDS.RuntimeDefault, "docker/default": _KINDS.RuntimeDefault,
          "unconfined": _KINDS.Unconfined}  # fmt: skip


def asked_profile(
    field: str, wanted: cri.SecurityProfile | None, strings: Iterable[tuple[str, str]]
) -> cri.SecurityProfile | None:
    """The profile that `field` asks for, else the first of `strings` (pairs of their name and value) that isn't empty.

    The reference of a Localhost one has no `localhost/` prefix. None when nothing is asked for. Raises InvalidArgument
    for a contradiction or an unknown kind.
    """
    if wanted is None:
        name, text = next(((name, text) for name, text in strings if text), ("", ""))
        return _from_string(name, text) if text else None
    if wanted.profile_type == _KINDS.Localhost:
        if not wanted.localhost_ref:
            raise InvalidArgument(f"{field}.localhost_ref is empty: profile_type Localhost needs it")
        return _localhost(wanted.localhost_ref)
    if wanted.localhost_ref:
        raise InvalidArgument(
            f"{field}.localhost_ref is {wanted.localhost_ref!r}: it must only be set if profile_type is Localhost"
        )
    if wanted.profile_type not in (_KINDS.RuntimeDefault, _KINDS.Unconfined):
        raise InvalidArgument(
            f"{field}.profile_type {int(wanted.profile_type)} is unknown: use RuntimeDefault, Unconfined or Localhost"
        )
    return wanted


def _from_string(name: str, text: str) -> cri.SecurityProfile:
    if text.startswith(LOCALHOST) and text != LOCALHOST:
        return _localhost(text)
    if text not in _NAMES:
        raise InvalidArgument(f"{name} {text!r} is unknown: use runtime/default, unconfined or localhost/PROFILE")
    return cri.SecurityProfile(profile_type=_NAMES[text])


def _localhost(reference: str) -> cri.SecurityProfile:
    return cri.SecurityProfile(profile_type=_KINDS.Localhost, localhost_ref=reference.removeprefix(LOCALHOST))
