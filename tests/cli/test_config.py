"""`config` shows what `serve` would use."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from cri_shim.cli.settings import overrides
from cri_shim.config import default, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_the_defaults_are_a_file_that_gives_the_defaults(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(run("config", "default").stdout)
    assert load([str(file)]).settings == default()


def test_a_dump_has_what_the_files_say_the_later_one_above(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("version = 3\nroot = '/a'\nstate = '/s'\n")
    (tmp_path / "b.toml").write_text("version = 3\nroot = '/b'\n")
    result = run("config", "dump", "--config", tmp_path / "a.toml", "--config", tmp_path / "b.toml")
    assert result.exit_code == 0
    dumped = tomllib.loads(result.stdout)
    assert (dumped["root"], dumped["state"]) == ("/b", "/s")


def test_an_option_wins_over_a_file(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("version = 4\nroot = '/a'\n")
    options = ["--root", "/r", "--state", "/s", "--containerd-address", "unix:///c.sock", "--listen", "unix:///l.sock"]
    result = run("config", "dump", "--config", tmp_path / "a.toml", *options, "--log-level", "debug")
    dumped = tomllib.loads(result.stdout)
    assert (dumped["root"], dumped["state"], dumped["grpc"]["address"]) == ("/r", "/s", "/c.sock")
    ours = dumped["plugins"]["io.cri-shim.v1"]
    assert (ours["address"], ours["log_level"]) == ("/l.sock", "debug")


def test_a_warning_is_not_in_the_dump(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("version = 3\n[plugins.'io.cri-shim.v1']\nlog_levle = 'debug'\n")
    result = run("config", "dump", "--config", tmp_path / "a.toml")
    assert 'did you mean "log_level"' in result.stderr
    tomllib.loads(result.stdout)


def test_every_problem_is_said_plainly(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("version = 3\nroot = 7\n[plugins.'io.cri-shim.v1']\nlog_level = 'loud'\n")
    result = run("config", "dump", "--config", tmp_path / "a.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "root = 7: must be" in result.stderr
    assert 'log_level = "loud": must be' in result.stderr
    assert "Traceback" not in result.stderr


def test_a_listen_address_that_is_no_socket_names_the_option(run: Callable[..., Result]) -> None:
    result = run("config", "dump", "--listen", "tcp://0.0.0.0:1")
    assert result.exit_code == 2
    assert "command line" in result.stderr


def test_no_option_changes_nothing() -> None:
    assert overrides() == {}
