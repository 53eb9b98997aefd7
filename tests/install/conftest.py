"""A system's root directory, and the commands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cri_shim.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

EXECUTABLE = "/opt/cri-shim/bin/cri-shim"


class System:
    """A directory that is `/` of a system which isn't running."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str:
        return self.path(path).read_text()

    def everything(self) -> dict[str, str]:
        """All that is there: text by path, `-> target` of links, "/" of directories, and each one's mode."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            else:
                found[name] = f"{path.stat().st_mode:o} {'/' if path.is_dir() else path.read_text()}"
        return found

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--root", str(self.root)], prog_name="cri-shim")

    def install(self, *arguments: str) -> Result:
        result = self.run("install", "--executable", EXECUTABLE, *arguments)
        assert result.exit_code == 0, result.output
        return result


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)
