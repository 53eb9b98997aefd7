"""What the node itself promises: it is private, quick, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from integration.harness import host_state, rootfs
from integration.harness.assembly import running_node
from integration.harness.errors import HarnessError
from integration.harness.guardian import PROJECT
from integration.harness.node import Bind, Node, NodePlan
from integration.harness.probes import serves_cri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def plan(**more: object) -> NodePlan:
    return NodePlan(layers=(rootfs.debian(),), **more)  # type: ignore[arg-type]


@pytest.fixture
def node() -> Iterator[Node]:
    with Node.start(plan()) as started:
        yield started


def unchanged(before: host_state.HostState, within: float = 5) -> str:
    """What is different on the host once what ends by itself has ended; other nodes' coming and going is not ours."""
    deadline = time.monotonic() + within
    while (text := host_state.difference(before, host_state.take())) and time.monotonic() < deadline:
        time.sleep(0.1)
    return text


def test_a_node_with_pods_running_leaves_the_host_as_it_was() -> None:
    before = host_state.take()
    with running_node(shim=False, peer=True) as running:
        running.containerd.ctr("images", "pull", "--hosts-dir", "/etc/containerd/certs.d", "docker.io/test/tools:1")
        running.containerd.ctr("run", "--detach", "docker.io/test/tools:1", "left-running", "sleep", "1000")
        assert host_state.difference(before, host_state.take())
    assert unchanged(before) == ""


def test_a_node_whose_harness_is_killed_leaves_the_host_as_it_was() -> None:
    before = host_state.take()
    code = "from integration.harness import demo_node\nwith demo_node(shim=False): print('up', flush=True); input()"
    harness = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT, start_new_session=True
    )
    assert harness.stdout
    assert harness.stdin
    assert harness.stdout.readline() == b"up\n"
    harness.kill()
    harness.wait()
    harness.stdin.close()
    harness.stdout.close()
    assert unchanged(before) == ""


def test_containerd_answers_within_a_second_and_a_half() -> None:
    with running_node(shim=False):
        pass  # what is built once is built now
    begin = time.monotonic()
    with running_node(shim=False):
        assert time.monotonic() - begin < 1.5


def test_two_nodes_at_once_do_not_see_each_other(node: Node) -> None:
    with Node.start(plan()) as other:
        assert node.run(["hostname"]).stdout != other.run(["hostname"]).stdout
        other.write("/etc/mark", "other")
        assert not node.path("/etc/mark").exists()
        assert "mark" not in node.run(["ls", "/etc"]).stdout
        assert len(other.run(["ls", "/proc"]).stdout.split("self")[0].splitlines()) > 0
        links = [each.run(["readlink", "/proc/self/ns/net"]).stdout for each in (node, other)]
        assert links[0] != links[1]


def test_what_a_node_writes_does_not_reach_the_cached_root(node: Node) -> None:
    node.run(["rm", "/etc/debian_version"])
    assert (rootfs.debian() / "etc/debian_version").exists()


def test_a_program_that_is_killed_or_fails_says_so(node: Node) -> None:
    process = node.popen(["sleep", "1000"])
    assert os.readlink(f"/proc/{process.program}/ns/pid") == os.readlink(f"/proc/{node.pid}/ns/pid")
    process.terminate()
    assert process.wait(5) == -signal.SIGTERM
    assert node.run(["sh", "-c", "exit 3"], check=False).returncode == 3
    with pytest.raises(HarnessError, match="ended with 4 in the node"):
        node.run(["sh", "-c", "exit 4"])
    with pytest.raises(subprocess.TimeoutExpired):
        node.run(["sleep", "1000"], timeout=0.2)


def test_orphans_are_reaped(node: Node) -> None:
    node.run(["sh", "-c", "(sleep 0.05 &) ; exit 0"])
    deadline = time.monotonic() + 5
    while "sleep" in node.run(["ps", "ax"]).stdout and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "sleep" not in node.run(["ps", "ax"]).stdout


def test_programs_run_in_the_nodes_cgroups_and_can_make_more(node: Node) -> None:
    for line in node.run(["cat", "/proc/self/cgroup"]).stdout.splitlines():
        assert line.split(":", 2)[2] in ("/", "/init")
    script = "for d in /sys/fs/cgroup/*/; do [ ! -e $d/cgroup.procs ] || mkdir $d/made-inside || exit 1; done"
    node.run(["sh", "-c", script])
    assert all(os.path.isdir(f"{group.removesuffix('/init')}/made-inside") for group in node.groups)


def test_a_readonly_bind_can_be_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    with Node.start(plan(binds=(Bind(str(tmp_path), "/shown"),))) as started:
        assert started.run(["cat", "/shown/file"]).stdout == "from the host"
        assert "Read-only" in started.run(["touch", "/shown/other"], check=False).stderr


def test_a_socket_in_the_node_is_reached_from_the_host() -> None:
    with running_node(shim=False, peer=True) as running:
        assert serves_cri(running.peer.socket if running.peer else PROJECT)
        with pytest.raises(ConnectionRefusedError):
            running.node.connect(1)
        running.node.connect(5000).close()
