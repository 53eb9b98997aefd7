"""What reading a configuration found wrong: everything at once, each with its place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cri_shim.config.source import Origin, Path


class ConfigInvalid(InvalidArgument):
    """The configuration can't be used; `problems` has one line each, the text all of them."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass
class Report:
    """Errors and warnings so far, where each setting came from (by its path in `Settings`), and what is not for us."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origins: dict[Path, Origin] = field(default_factory=dict)
    foreign: list[Origin] = field(default_factory=list)

    def wrong(self, origin: Origin, value: object, allowed: str, *, secret: bool = False) -> None:
        """A value that can't be: the file, the line, the key, the value and what is allowed."""
        self.errors.append(f"{origin} = {'(hidden)' if secret else _shown(value)}: must be {allowed}")

    def refuse(self, path: Path, value: object, allowed: str) -> None:
        """As `wrong`, for a setting that has been read already."""
        origin = self.origins.get(path)
        if origin is not None:
            self.wrong(origin, value, allowed)
        else:
            self.errors.append(f"{'.'.join(path)} = {_shown(value)}: must be {allowed}")

    def unknown(self, origin: Origin, known: Iterable[str]) -> None:
        """A key that nobody reads, with the nearest that somebody does."""
        near = difflib.get_close_matches(origin.path[-1], list(known), n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        self.warnings.append(f"{origin}: unknown key, ignored{hint}")

    def warn(self, path: Path, text: str) -> None:
        """Something about a setting that was read; nothing is said where it has its default."""
        if (origin := self.origins.get(path)) is not None:
            self.warnings.append(f"{origin}: {text}")

    def finish(self) -> tuple[str, ...]:
        """The warnings. Raises ConfigInvalid if there were errors."""
        if self.errors:
            raise ConfigInvalid(*self.errors)
        return tuple(self.warnings)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
