"""What a newcomer meets: help, versions, plain errors, and no import that isn't needed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cri_shim import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

COMMANDS = (
    "serve",
    "install",
    "uninstall",
    "demo",
    "timeline",
    "images",
    "pulls",
    "smoke",
    "config",
    "completion",
    "version",
)


def test_help_lists_every_command(run: Callable[..., Result]) -> None:
    result = run("--help")
    assert result.exit_code == 0
    listed = result.output.split("Commands:")[1]
    assert [line.split()[0] for line in listed.strip().splitlines()] == list(COMMANDS)
    assert "..." not in listed  # no summary is cut short


@pytest.mark.parametrize(
    "command", [*((name,) for name in COMMANDS), ("config", "dump"), ("config", "default"), ("images", "pull")]
)
def test_each_command_has_help(run: Callable[..., Result], command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"Usage: cri-shim {' '.join(command)}" in result.output
    assert "\\b" not in result.output


def test_an_unknown_command_is_said_so(run: Callable[..., Result]) -> None:
    result = run("sevre")
    assert result.exit_code == 2
    assert "No such command 'sevre'" in result.output


def test_version_says_ours(run: Callable[..., Result]) -> None:
    result = run("version")
    assert result.exit_code == 0
    assert result.output.startswith(f"cri-shim {__version__} ")


def test_version_of_a_containerd_that_is_not_there_is_an_error(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("version", "--containerd-address", tmp_path / "none.sock")
    assert result.exit_code == 1
    assert f"cri-shim {__version__}" in result.output
    assert str(tmp_path / "none.sock") in result.stderr
    assert "Traceback" not in result.output


def test_help_imports_neither_the_node_nor_an_event_loop() -> None:
    code = """
import sys
from cri_shim.cli import cli
cli(["--help"], standalone_mode=False)
unwanted = {"anyio", "asyncio", "structlog", "grpclib.client", "cri_shim.node", "integration", "rich"}
print(sorted(unwanted & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "cri_shim", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cri-shim ")
