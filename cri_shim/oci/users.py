"""Who a container's process runs as: from the request, the image, and the image's account files.

The files are hostile: anybody can put anything into an image. A malformed line is skipped; numbers that are no ids
make no entry. Source: containerd `pkg/oci/spec_opts.go` (`WithUser`, `WithAdditionalGIDs`), `internal/cri/util`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument
from cri_shim.oci.spec import User

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cri_shim.api.runtime import v1 as cri

MAX_ID = 2**31 - 1
_PASSWD_FIELDS, _GROUP_FIELDS = 4, 4  # name:password:uid:gid, name:password:gid:members


@dataclass(frozen=True)
class Accounts:
    """The content of /etc/passwd and /etc/group; None for a file that isn't there."""

    passwd: bytes | None = None
    group: bytes | None = None


@dataclass(frozen=True)
class _Account:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """The user as the CRI and the image ask for one: `USER` or `USER:GROUP`, names or numbers, "" for root."""

    user: str
    from_image: bool
    supplemental_groups: Sequence[int] = ()
    strict: bool = False  # SupplementalGroupsPolicy Strict: only the groups asked for


def wanted_user(
    run_as_user: cri.Int64Value | None,
    run_as_username: str,
    run_as_group: cri.Int64Value | None,
    image_user: str,
) -> tuple[str, bool]:
    """The user to look up, and whether it is the image's. InvalidArgument for a group without a user."""
    user = run_as_username or (str(run_as_user.value) if run_as_user is not None else "")
    if run_as_group is None:
        return (user, False) if user else (image_user, True)
    if not user:
        raise InvalidArgument(
            f"security_context.run_as_group is {run_as_group.value}, but there is neither run_as_user nor "
            "run_as_username: a group needs a user"
        )
    return f"{user}:{run_as_group.value}", False


def resolve(wanted: Wanted, accounts: Accounts) -> User:
    """The ids that `wanted` stands for, with all groups. InvalidArgument for an unknown name or an id out of range."""
    uid, gid = _ids(wanted.user, accounts)
    groups = {gid, *(_checked(group, "security_context.supplemental_groups") for group in wanted.supplemental_groups)}
    if not wanted.strict:
        groups |= _memberships(wanted.user.partition(":")[0] or "0", accounts)
    return User(uid=uid, gid=gid, additional_gids=sorted(groups))


def _ids(user: str, accounts: Accounts) -> tuple[int, int]:
    if not user:
        return 0, 0
    name, separator, group = user.partition(":")
    if ":" in group:
        raise InvalidArgument(f"user {user!r} has more than one colon: it must be USER or USER:GROUP")
    number = _number(name)
    account = next((item for item in _accounts(accounts.passwd) if _is(item, name, number)), None)
    if number is None and account is None:
        raise InvalidArgument(f"no user {name!r} in the image's /etc/passwd: name one that is there, or use its uid")
    uid = account.uid if account is not None else _checked(number or 0, "user")
    if not separator or not group:
        return uid, account.gid if account is not None else 0
    return uid, _group_id(group, accounts)


def _is(account: _Account, name: str, number: int | None) -> bool:
    return account.uid == number if number is not None else account.name == name


def _group_id(group: str, accounts: Accounts) -> int:
    number = _number(group)
    if number is not None:
        return _checked(number, "group")
    for item in _groups(accounts.group):
        if item.name == group:
            return item.gid
    raise InvalidArgument(f"no group {group!r} in the image's /etc/group: name one that is there, or use its gid")


def _memberships(user: str, accounts: Accounts) -> set[int]:
    """The groups that list the user as a member, but for the one that has the user's own name."""
    number = _number(user)
    name = user
    if number is not None:
        name = next((item.name for item in _accounts(accounts.passwd) if item.uid == number), "")
    if not name:
        return set()
    return {item.gid for item in _groups(accounts.group) if name in item.members and item.name != name}


def _number(text: str) -> int | None:
    if not (text.isascii() and text.removeprefix("-").isdecimal()):
        return None
    return int(text) if len(text) <= len(str(MAX_ID)) + 1 else MAX_ID + 1


def _checked(number: int, what: str) -> int:
    if not 0 <= number <= MAX_ID:
        raise InvalidArgument(f"{what} {number} is out of range: ids are 0 to {MAX_ID}")
    return number


def _accounts(passwd: bytes | None) -> Iterator[_Account]:
    for fields in _lines(passwd, _PASSWD_FIELDS):
        uid, gid = _file_id(fields[2]), _file_id(fields[3])
        if uid is not None and gid is not None:
            yield _Account(fields[0], uid, gid)


def _groups(group: bytes | None) -> Iterator[_Group]:
    for fields in _lines(group, _GROUP_FIELDS):
        gid = _file_id(fields[2])
        if gid is not None:
            yield _Group(fields[0], gid, tuple(member for member in fields[3].split(",") if member))


def _file_id(text: str) -> int | None:
    number = _number(text)
    return number if number is not None and 0 <= number <= MAX_ID else None


def _lines(content: bytes | None, least: int) -> Iterator[list[str]]:
    for line in (content or b"").decode("utf-8", "replace").split("\n"):
        fields = line.strip().split(":")
        if len(fields) >= least and fields[0] and not fields[0].startswith("#"):
            yield fields
