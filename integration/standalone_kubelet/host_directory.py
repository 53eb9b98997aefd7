"""A directory of the node's that pods see: what they write there is still there when they have gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from integration.standalone_kubelet.manifest import Mount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from integration.harness.node import Node

_NAME: Final = "kept"


@dataclass(frozen=True)
class HostDirectory:
    """A hostPath volume, seen as /kept."""

    node: Node
    inside: str
    mount: Mount = Mount(name=_NAME, mount_path=f"/{_NAME}")  # noqa: RUF009  (it is frozen)

    @property
    def volume(self) -> Mapping[str, object]:
        """The volume, for a manifest."""
        return {"name": _NAME, "hostPath": {"path": self.inside, "type": "DirectoryOrCreate"}}

    @property
    def path(self) -> Path:
        """Where it is, seen from here."""
        return self.node.path(self.inside)

    def lines(self, name: str) -> list[str]:
        """The lines of a file in it; none when it isn't there."""
        path = self.path / name
        return path.read_text().splitlines() if path.exists() else []
