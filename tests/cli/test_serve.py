"""`serve` ends as it was told to, and says why it can't begin."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from cri_shim.errors import AlreadyExists, FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from cri_shim.config import Settings
    from cri_shim.config.reloads import Reloads
    from cri_shim.observe.supervisor import Supervisor


def raising(*errors: Exception) -> Any:
    """A node that fails as one does whose tasks fail: wrapped in a group."""

    async def serve(_settings: Settings, _supervisor: Supervisor, _reloads: Reloads) -> None:
        raise ExceptionGroup("unhandled errors in a TaskGroup", list(errors))

    return serve


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_it_tidies_up(
    run: Callable[..., Result], node_serves: Callable[[Any], None], number: signal.Signals
) -> None:
    tidied: list[bool] = []

    async def serve(_settings: Settings, _supervisor: Supervisor, _reloads: Reloads) -> None:
        os.kill(os.getpid(), number)
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
                tidied.append(True)

    node_serves(serve)
    result = run("serve", "--log-format", "json")
    assert result.exit_code == 0
    assert tidied == [True]
    assert number.name in result.stderr


SIGHUP_FILES = (  # what the file says in turn; each time a line is logged at debug
    "log_level = 'debug'\nshim_timeout = '30s'",
    "log_level = 'chatty'",
    "log_level = 'info'\nshim_timeout = '5s'\n[grpc]\ngid = 7",
)


def test_sighup_takes_over_the_level_of_the_log_tells_of_the_rest_and_a_broken_file_changes_nothing(
    run: Callable[..., Result], node_serves: Callable[[Any], None], tmp_path: Path
) -> None:
    file = tmp_path / "a.toml"
    head = "version = 3\n[plugins.'io.cri-shim.v1']\n"
    file.write_text(f"{head}log_level = 'info'\n")

    async def serve(_settings: Settings, _supervisor: Supervisor, _reloads: Reloads) -> None:
        log = structlog.get_logger()
        for number, text in enumerate(SIGHUP_FILES):
            file.write_text(head + text)
            os.kill(os.getpid(), signal.SIGHUP)
            await anyio.sleep(0.3)
            log.debug("line", number=number)
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep_forever()

    node_serves(serve)
    result = run("serve", "--config", file, "--log-format", "json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    level, timeout, group = 'plugins."io.cri-shim.v1".log_level', 'plugins."io.cri-shim.v1".shim_timeout', "grpc.gid"
    told = [line.get("key") or f"{line['msg']} {line.get('number', '')}".strip() for line in lines]
    again, kept = "configuration read again", "configuration left as it was"
    assert told == [level, again, "line 0", kept, "line 1", group, level, timeout, again, "ending"]
    assert "chatty" in lines[3]["problem"]
    effects = {line["key"]: line["takes_effect"] for line in lines if "key" in line}
    assert effects == {
        level: "now", timeout: "when cri-shim is restarted", group: "when containerd is restarted"
    }  # fmt: skip


def test_the_options_reach_the_node(
    run: Callable[..., Result], node_serves: Callable[[Any], None], tmp_path: Path
) -> None:
    seen: list[Settings] = []

    async def serve(settings: Settings, _supervisor: Supervisor, _reloads: Reloads) -> None:
        seen.append(settings)
        os.kill(os.getpid(), signal.SIGTERM)
        await anyio.sleep_forever()

    node_serves(serve)
    assert run("serve", "--containerd-address", "/c.sock", "--listen", f"unix://{tmp_path}/l.sock").exit_code == 0
    (settings,) = seen
    assert settings.containerd.address == "/c.sock"
    assert settings.shim.address == f"{tmp_path}/l.sock"


def test_a_containerd_that_will_not_do_is_said_in_plain_words(
    run: Callable[..., Result], node_serves: Callable[[Any], None]
) -> None:
    node_serves(raising(ExceptionGroup("", [FailedPrecondition("containerd 1.7 is too old")])))
    result = run("serve")
    assert result.exit_code == 1
    assert "Error: containerd 1.7 is too old\n" in result.stderr
    assert "Traceback" not in result.stderr


def test_each_failure_is_said_once(run: Callable[..., Result], node_serves: Callable[[Any], None]) -> None:
    node_serves(raising(AlreadyExists("in use"), AlreadyExists("in use"), FailedPrecondition("too old")))
    assert "Error: in use\ntoo old\n" in run("serve").stderr


def test_a_bug_keeps_its_traceback(run: Callable[..., Result], node_serves: Callable[[Any], None]) -> None:
    node_serves(raising(FailedPrecondition("too old"), KeyError("bug")))
    result = run("serve")
    assert result.exit_code == 1
    assert isinstance(result.exception, ExceptionGroup)


def test_a_warning_about_the_configuration_is_logged(
    run: Callable[..., Result], node_serves: Callable[[Any], None], tmp_path: Path
) -> None:
    (tmp_path / "a.toml").write_text("version = 3\n[plugins.'io.cri-shim.v1']\nlog_levle = 'debug'\n")
    node_serves(raising(AlreadyExists("in use")))
    assert "did you mean" in run("serve", "--config", tmp_path / "a.toml", "--log-format", "json").stderr


def test_a_configuration_that_can_not_be_is_refused_before_anything_is_done(
    run: Callable[..., Result], node_serves: Callable[[Any], None], tmp_path: Path
) -> None:
    node_serves(raising(AssertionError("reached")))
    result = run("serve", "--config", tmp_path / "none.toml")
    assert result.exit_code == 2
    assert f"{tmp_path}/none.toml: can't be read: No such file or directory" in result.stderr
