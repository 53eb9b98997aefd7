"""`demo` ends cleanly, and says plainly what the machine lacks."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cri_shim.cli import checkout
from cri_shim.cli import demo as demo_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

ENDPOINT = "unix:///proc/42/root/run/cri-shim/cri-shim.sock"


class Lacking(Exception):
    """What the harness raises."""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A node in name only; in the list, once it has ended, the options that it was made with."""
    options_of_ended: list[dict[str, Any]] = []

    @contextmanager
    def node(**options: Any) -> Iterator[SimpleNamespace]:
        try:
            yield SimpleNamespace(shim_endpoint=ENDPOINT, peer_endpoint="unix:///peer", peer=options["peer"], node=NODE)
        finally:
            options_of_ended.append(options)

    monkeypatch.setattr(demo_module, "demo_node", node)
    monkeypatch.setattr(demo_module, "harness_error", lambda: Lacking)
    return options_of_ended


NODE = SimpleNamespace(pid=42)


def after_a_while(number: signal.Signals, delays: tuple[float, ...] = (0.2,)) -> None:
    for delay in delays:
        threading.Timer(delay, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_kept_node_says_its_endpoint_first_and_ends_at_a_signal(
    run: Callable[..., Result], ended: list[dict[str, Any]], number: signal.Signals
) -> None:
    after_a_while(number)
    result = run("demo", "--serve")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == f"CRI endpoint: {ENDPOINT}"
    assert "crictl" in result.stdout
    assert len(ended) == 1


def test_a_peer_is_named(run: Callable[..., Result], ended: list[dict[str, Any]]) -> None:
    after_a_while(signal.SIGTERM)
    assert "unix:///peer" in run("demo", "--serve", "--peer").stdout
    assert ended[0]["peer"]


def test_further_options_are_the_nodes_own(run: Callable[..., Result], ended: list[dict[str, Any]]) -> None:
    after_a_while(signal.SIGTERM)
    run("demo", "--serve", "--log-level", "debug")
    assert ended[0]["shim_arguments"] == ("--log-level", "debug")


def test_the_clean_up_is_not_cut_short_by_a_second_signal(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, ended: list[dict[str, Any]]
) -> None:
    del ended
    cleaned: list[bool] = []

    @contextmanager
    def slow(**_options: Any) -> Iterator[SimpleNamespace]:
        try:
            yield SimpleNamespace(shim_endpoint=ENDPOINT, peer=None, node=NODE)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            cleaned.append(True)

    monkeypatch.setattr(demo_module, "demo_node", slow)
    after_a_while(signal.SIGINT)
    assert run("demo", "--serve").exit_code == 0
    assert cleaned == [True]


def test_what_the_machine_lacks_is_said_with_what_mends_it(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, ended: list[dict[str, Any]]
) -> None:
    del ended

    def refuse(**_options: Any) -> None:
        raise Lacking("a node takes root\n  sudo make demo")

    monkeypatch.setattr(demo_module, "demo_node", refuse)
    result = run("demo")
    assert result.exit_code == 1
    assert result.stderr == "Error: a node takes root\n  sudo make demo\n"


def test_without_a_source_checkout_there_is_no_node(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkout, "_ROOT", tmp_path)
    result = run("demo")
    assert result.exit_code == 1
    assert "make demo" in result.stderr
    assert "Traceback" not in result.output


def test_signals_are_handled_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with demo_module.ended_by_signals():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_pod_that_fails_is_told_with_the_ends_of_the_logs(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, ended: list[dict[str, Any]], tmp_path: Path
) -> None:
    @contextmanager
    def node(**_options: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(
            shim_endpoint=f"unix://{tmp_path}/none.sock",
            node=SimpleNamespace(path=lambda path: path),
            logs=lambda: {"/var/log/cri-shim.log": "the reason"},
        )

    del ended
    monkeypatch.setattr(demo_module, "demo_node", node)
    result = run("demo")
    assert result.exit_code == 1
    assert "the end of /var/log/cri-shim.log\nthe reason" in result.stderr
    assert "Error: " in result.stderr
