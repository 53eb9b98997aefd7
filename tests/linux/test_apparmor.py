from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cri_shim.linux import apparmor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def parser(tmp_path: Path) -> Path:
    """A stand-in for apparmor_parser that keeps what it was given; `told` is the shell code that it ends with."""
    program = tmp_path / "parser"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/flag\ncp "$2" {tmp_path}/text\n. {tmp_path}/told\n')
    program.chmod(0o755)
    (tmp_path / "told").write_text("")
    return program


def test_the_profile_denies_the_kernels_settings_and_mounting() -> None:
    text = apparmor.profile_text("mine", macros="/nowhere")
    for rule in (
        "profile mine flags=(attach_disconnected,mediate_deleted) {",
        "@{PROC}=/proc/",
        "  deny mount,",
        "  deny @{PROC}/sysrq-trigger rwklx,",
        "  deny /sys/fs/cg[^r]*/** wklx,",
        "  deny /sys/f[^s]*/** wklx,",
        "  signal (receive) peer=unconfined,",
        "  ptrace (trace,tracedby,read,readby) peer=mine,",
    ):
        assert rule in text
    assert text.count("{") == text.count("}")


def test_cgroups_alone_of_sys_can_be_written() -> None:
    text = apparmor.profile_text("mine", macros="/nowhere")
    patterns = re.findall(r"deny (/sys/\S+)/\*\* wklx", text)
    assert patterns == ["/sys/[^f]*", "/sys/f[^s]*", "/sys/fs/[^c]*", "/sys/fs/c[^g]*", "/sys/fs/cg[^r]*"]


def test_macros_of_the_distribution_are_used_where_they_are(tmp_path: Path) -> None:
    for name in ("abi/3.0", "tunables/global", "abstractions/base"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    text = apparmor.profile_text("mine", macros=str(tmp_path))
    assert text.startswith("abi <abi/3.0>,\n#include <tunables/global>\nprofile mine")
    assert "  #include <abstractions/base>\n" in text
    assert "@{PROC}=/proc/" not in text


@pytest.mark.parametrize(
    ("word", "expected"), [("unconfined\n", "unconfined"), ("shim (enforce)\n", "shim"), ("", "unconfined")]
)
def test_we_may_signal_what_we_run(tmp_path: Path, word: str, expected: str) -> None:
    (tmp_path / "current").write_text(word)
    assert apparmor._own_profile(str(tmp_path / "current")) == expected
    assert apparmor._own_profile(str(tmp_path / "none")) == "unconfined"


def test_loading_hands_the_parser_the_text(tmp_path: Path, parser: Path) -> None:
    apparmor.load("mine", str(parser))
    assert (tmp_path / "flag").read_text() == "-Kr\n"
    assert (tmp_path / "text").read_text() == apparmor.profile_text("mine")


def test_what_the_parser_says_is_told(tmp_path: Path, parser: Path) -> None:
    (tmp_path / "told").write_text("echo 'syntax error at line 3' >&2; exit 1")
    with pytest.raises(OSError, match="parser ended with 1: syntax error at line 3"):
        apparmor.load("mine", str(parser))
    with pytest.raises(FileNotFoundError):
        apparmor.load("mine", str(tmp_path / "none"))


def test_a_parser_that_hangs_is_given_up(tmp_path: Path, parser: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apparmor, "_SECONDS", 0.2)
    (tmp_path / "told").write_text("exec sleep 10")
    with pytest.raises(TimeoutError, match="didn't load mine"):
        apparmor.load("mine", str(parser))
