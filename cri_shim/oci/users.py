"""Who a container's process runs as: from the request, the image, and the image's account files.

The files are hostile: anybody can put anything into an image. A line without a name and a number makes no entry
(Docker and containerd take such a number for 0, which is root's); of further fields, what is missing or malformed is
empty. Source: containerd `pkg/oci/spec_opts.go` (`WithUser`, `WithAdditionalGIDs`), `internal/cri/util/util.go`
(`GenerateUserString`), passwd(5), group(5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cri_shim.errors import InvalidArgument
from cri_shim.oci.fields import CONTEXT
from cri_shim.oci.spec import User

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cri_shim.api.runtime import v1 as cri

MAX_ID = 2**31 - 1  # runc takes no greater one
_NUMBER = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS = 20


@dataclass(frozen=True)
class Accounts:
    """The content of /etc/passwd and /etc/group; None for a file that isn't there."""

    passwd: bytes | None = None
    group: bytes | None = None


@dataclass(frozen=True)
class Wanted:
    """A user as asked for: `USER` or `USER:GROUP`, names or numbers, "" for nobody in particular, which is root.

    `source` is the field that asks, for refusals.
    """

    user: str
    source: str


class _Account(NamedTuple):
    name: str
    uid: int
    gid: int


class _Group(NamedTuple):
    name: str
    gid: int
    members: tuple[str, ...]


def wanted_user(
    run_as_user: cri.Int64Value | None,
    run_as_username: str,
    run_as_group: cri.Int64Value | None,
    image_user: str,
) -> Wanted:
    """The user to look up: the request's, else the image's. InvalidArgument for a group without a user."""
    name = f"{CONTEXT}.run_as_username" if run_as_username else f"{CONTEXT}.run_as_user"
    user = run_as_username or (str(run_as_user.value) if run_as_user is not None else "")
    if run_as_group is None:
        return Wanted(user, name) if user else Wanted(image_user, "the image's User")
    if not user:
        raise InvalidArgument(
            f"{CONTEXT}.run_as_group is {run_as_group.value}, but there is neither run_as_user nor run_as_username: "
            "a group needs a user"
        )
    return Wanted(f"{user}:{run_as_group.value}", f"{name} with run_as_group")


def pause_user(wanted: Wanted, supplemental_groups: Sequence[int], accounts: Accounts) -> User:
    """The user of a pause process. As in containerd, the supplemental groups are only a root's, where none is named."""
    if not wanted.user:
        return User(0, 0, additional_gids=sorted(_checked_groups(supplemental_groups)))
    uid, gid = _ids(wanted, accounts)
    return User(uid, gid, additional_gids=[gid])


def workload_user(
    base: User, wanted: Wanted, supplemental_groups: Sequence[int], accounts: Accounts, *, strict: bool
) -> User:
    """The user of a workload, with its groups sorted; the one of `base` (a handler's base spec) where none is wanted.

    `strict` leaves out groups that the image adds (SupplementalGroupsPolicy Strict, and not Merge). Raises
    InvalidArgument for an unknown name or an id out of range.
    """
    groups = _checked_groups(supplemental_groups)
    if wanted.user:
        uid, gid = _ids(wanted, accounts)
        groups.add(gid)
    else:
        uid, gid = base.uid, base.gid
        groups.update(base.additional_gids)
    if not strict:
        groups |= {gid, *_memberships(wanted.user.partition(":")[0] or "0", accounts)}
    return msgspec.structs.replace(base, uid=uid, gid=gid, additional_gids=sorted(groups))


def _ids(wanted: Wanted, accounts: Accounts) -> tuple[int, int]:
    """The uid and gid. A user alone has the group of its account, 0 without one; an empty part stands for 0."""
    user, separator, group = wanted.user.partition(":")
    if ":" in group:
        raise InvalidArgument(f"{wanted.source} {wanted.user!r} has more than one colon: it must be USER or USER:GROUP")
    number = _number(user)
    if separator:
        uid = _user_id(user, number, wanted.source, accounts) if user else 0
        return uid, _group_id(group, wanted.source, accounts) if group else 0
    if number is None:
        account = _named_account(user, wanted.source, accounts)
        return account.uid, account.gid
    uid = _checked(number, wanted.source)
    return uid, next((item.gid for item in _accounts(accounts.passwd) if item.uid == uid), 0)


def _user_id(user: str, number: int | None, source: str, accounts: Accounts) -> int:
    return _named_account(user, source, accounts).uid if number is None else _checked(number, source)


def _named_account(name: str, source: str, accounts: Accounts) -> _Account:
    for account in _accounts(accounts.passwd):
        if account.name == name:
            return account
    raise InvalidArgument(
        f"{source} names {name!r}, whom the image's /etc/passwd doesn't have: name a user that is there, or use the uid"
    )


def _group_id(group: str, source: str, accounts: Accounts) -> int:
    number = _number(group)
    if number is not None:
        return _checked(number, source)
    for item in _groups(accounts.group):
        if item.name == group:
            return item.gid
    raise InvalidArgument(
        f"{source} names the group {group!r}, which the image's /etc/group doesn't have: name one that is there, "
        "or use the gid"
    )


def _memberships(user: str, accounts: Accounts) -> set[int]:
    """The groups that list the user as a member, but for the one that has the user's own name."""
    number = _number(user)
    if number is not None:
        user = next((item.name for item in _accounts(accounts.passwd) if item.uid == number), "")
    if not user:
        return set()
    return {item.gid for item in _groups(accounts.group) if user in item.members and item.name != user}


def _number(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if len(text) <= _MOST_DIGITS else MAX_ID + 1  # an int of any length takes quadratic time


def _checked(number: int, source: str) -> int:
    if not 0 <= number <= MAX_ID:
        raise InvalidArgument(f"{source}: id {number} is out of range: ids are 0 to {MAX_ID}")
    return number


def _checked_groups(groups: Sequence[int]) -> set[int]:
    return {_checked(group, f"{CONTEXT}.supplemental_groups") for group in groups}


def _accounts(passwd: bytes | None) -> Iterator[_Account]:
    """Of `name:password:uid:gid:…` lines."""
    for name, uid, rest in _entries(passwd):
        yield _Account(name, uid, _file_id(rest.partition(":")[0]) or 0)


def _groups(group: bytes | None) -> Iterator[_Group]:
    """Of `name:password:gid:members` lines."""
    for name, gid, rest in _entries(group):
        yield _Group(name, gid, tuple(member for member in rest.partition(":")[0].split(",") if member))


def _entries(content: bytes | None) -> Iterator[tuple[str, int, str]]:
    """The lines that have a name and, as their third field, a number: these two and what follows."""
    for line in (content or b"").decode("utf-8", "replace").split("\n"):
        name, _, after = line.strip().partition(":")
        number, _, rest = after.partition(":")[2].partition(":")
        found = _file_id(number)
        if found is not None and name and not name.startswith("#"):
            yield name, found, rest


def _file_id(text: str) -> int | None:
    number = _number(text)
    return number if number is not None and 0 <= number <= MAX_ID else None
