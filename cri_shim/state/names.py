"""Which name belongs to which id: a bijection, so that a pod or a container exists once."""

from __future__ import annotations

from cri_shim.errors import FailedPrecondition


class NameIndex:
    """Names of one kind of object. Reserving the same pair again succeeds, as in containerd's registrar."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def reserve(self, name: str, owner: str) -> None:
        """Give `name` to the object with id `owner`; FailedPrecondition when another one has it."""
        held = self._ids.get(name)
        if held is not None and held != owner:
            raise FailedPrecondition(
                f'name "{name}" is reserved for "{held}": remove that object, or use the next attempt number'
            )
        self._ids[name] = owner
        self._names[owner] = name

    def release(self, owner: str) -> None:
        """Free the name of the object with id `owner`, if it has one."""
        name = self._names.pop(owner, None)
        if name is not None:
            del self._ids[name]

    def owner(self, name: str) -> str | None:
        """The id that has `name`."""
        return self._ids.get(name)
