"""What a changed configuration comes to while we serve: which settings differ, and when each takes effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.config.containerd_settings import CLEANUP_TIMEOUT
from cri_shim.config.image_settings import RegistryAuth
from cri_shim.config.migrate import IMAGES, SHIM
from cri_shim.config.source import written
from cri_shim.config.writer import as_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cri_shim.config.settings import Settings
    from cri_shim.config.source import Path

NOW = "now"
AT_START = "when cri-shim is restarted"
CONTAINERDS = "when containerd is restarted"

_RELOADED: tuple[Path, ...] = (("plugins", SHIM, "log_level"), ("plugins", IMAGES, "registry"))
OURS_AT_TOP: frozenset[Path] = frozenset({
    ("root",), ("state",), ("grpc", "address"), ("grpc", "max_recv_message_size"), ("grpc", "max_send_message_size"),
    ("timeouts", CLEANUP_TIMEOUT),
})  # fmt: skip
"""Of what is containerd's at the top level of a file, what we act on, too."""
_SECRETS = frozenset(field.name for field in dataclasses.fields(RegistryAuth) if not field.repr)
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """One key with its values as TOML has them, None for none; those of passwords are not told."""

    key: str
    before: object
    after: object
    effect: str


def differences(before: Settings, after: Settings) -> tuple[Difference, ...]:
    """All that differs, in the order of a dump."""
    old, new = dict(leaves(as_tree(before), ())), dict(leaves(as_tree(after), ()))
    paths = [path for path in dict.fromkeys((*new, *old)) if old.get(path, _ABSENT) != new.get(path, _ABSENT)]
    return tuple(_difference(path, old.get(path), new.get(path)) for path in paths)


def with_reloaded(in_force: Settings, read: Settings) -> Settings:
    """What is in force once that of `read` has been taken over which takes effect at once."""
    return dataclasses.replace(
        in_force,
        shim=dataclasses.replace(in_force.shim, log_level=read.shim.log_level),
        images=dataclasses.replace(in_force.images, registry=read.images.registry),
    )


def _difference(path: Path, old: object, new: object) -> Difference:
    if _SECRETS.intersection(path):
        old = new = "(hidden)"
    return Difference(".".join(map(written, path)), old, new, _effect(path))


def _effect(path: Path) -> str:
    if any(path[: len(table)] == table for table in _RELOADED):
        return NOW
    return AT_START if path[0] == "plugins" or path in OURS_AT_TOP else CONTAINERDS


def leaves(table: Mapping[str, object], above: Path) -> Iterator[tuple[Path, object]]:
    """The values of a tree, with their whole paths; an empty table is one, too."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value
