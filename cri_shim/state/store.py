"""The objects of one kind, found by id or by the beginning of one."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from cri_shim.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator


class Identified(Protocol):
    """What has an id."""

    @property
    def id(self) -> str:
        """64 lower-case hex digits, or what a foreign tool chose."""


T = TypeVar("T", bound=Identified)


class Store(Generic[T]):
    """The objects of one kind in memory; `kind` names it in errors. Reading never waits for anything."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._objects: dict[str, T] = {}
        self._ids: list[str] = []  # sorted, so that a prefix is a binary search

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._objects.values()))

    def __contains__(self, exact_id: object) -> bool:
        return exact_id in self._objects

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, thing: T) -> None:
        """Make `thing` visible; one of the same id is replaced."""
        if thing.id not in self._objects:
            insort(self._ids, thing.id)
        self._objects[thing.id] = thing

    def remove(self, thing: T) -> None:
        """Forget `thing`; one that is not there is already forgotten."""
        if self._objects.pop(thing.id, None) is not None:
            del self._ids[bisect_left(self._ids, thing.id)]

    def get(self, exact_id: str) -> T | None:
        """The object of exactly that id."""
        return self._objects.get(exact_id)

    def find(self, id_or_prefix: str) -> T:
        """The one object whose id is, or begins with, `id_or_prefix`.

        Raises InvalidArgument for an empty or ambiguous prefix (containerd's plugin answers Unknown), NotFound when
        nothing matches.
        """
        if (exact := self._objects.get(id_or_prefix)) is not None:
            return exact
        if not id_or_prefix:
            raise InvalidArgument(f"the {self._kind} id is empty: give an id, or the beginning of one")
        matches = self.matches(id_or_prefix)
        if not matches:
            raise NotFound(f"{self._kind} {id_or_prefix!r}: not found")
        if len(matches) > 1:
            some = ", ".join(match[: len(id_or_prefix) + 8] + "…" for match in matches[:3])
            raise InvalidArgument(
                f"{self._kind} id {id_or_prefix!r} is the beginning of {len(matches)} ids ({some}): give more of it"
            )
        return self._objects[matches[0]]

    def matches(self, prefix: str) -> list[str]:
        """All ids that begin with `prefix`, sorted."""
        start = bisect_left(self._ids, prefix)
        end = bisect_left(self._ids, prefix + "\U0010ffff")
        return self._ids[start:end]

    def full_id(self, id_or_prefix: str) -> str:
        """The one id that `id_or_prefix` stands for, else `id_or_prefix` itself: how list filters read an id."""
        if id_or_prefix in self._objects or not id_or_prefix:
            return id_or_prefix
        matches = self.matches(id_or_prefix)
        return matches[0] if len(matches) == 1 else id_or_prefix
