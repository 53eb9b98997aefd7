"""Exec, attach and port-forward through the kubelet, which hands its clients on to the runtime's streaming server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from integration.standalone_kubelet.http_client import HttpError
from integration.standalone_kubelet.manifest import Container, Pod
from integration.streaming_client.session import STDERR, STDIN, STDOUT
from integration.streaming_client.spdy import spdy_command, spdy_ports
from integration.streaming_client.websocket import websocket_command

if TYPE_CHECKING:
    from integration.standalone_kubelet.standalone import StandaloneKubelet

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("streaming")]

FOREVER = "exec sleep 100000"
SCRIPT = ["sh", "-c", "read line; echo got $line; echo oops >&2; exit 5"]
WEBSOCKET = ("v5.channel.k8s.io", "v4.channel.k8s.io")


async def test_a_command_can_be_run_by_spdy(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="exec-spdy", containers=(Container(script=FOREVER),)))
    url = kubelet.streaming_url("exec", "exec-spdy", command=SCRIPT, input=1, output=1, error=1)
    with anyio.fail_after(30):
        async with spdy_command(url, "v4.channel.k8s.io", stdin=True) as command:
            await command.write(STDIN, b"hello\n")
            assert await command.read_all(STDOUT) == b"got hello\n"
            assert await command.read_all(STDERR) == b"oops\n"
            assert await command.exit_code() == 5


@pytest.mark.parametrize("protocol", WEBSOCKET)
async def test_a_command_can_be_run_by_websocket(kubelet: StandaloneKubelet, protocol: str) -> None:
    name = f"exec-{protocol[:2]}"
    kubelet.runs(Pod(name=name, containers=(Container(script=FOREVER),)))
    url = kubelet.streaming_url("exec", name, command=SCRIPT, input=1, output=1, error=1)
    with anyio.fail_after(30):
        async with websocket_command(url, protocol) as command:
            assert command.protocol == protocol
            await command.write(STDIN, b"hello\n")
            assert await command.read_until(b"\n", STDOUT) == b"got hello\n"
            assert await command.read_until(b"\n", STDERR) == b"oops\n"
            assert await command.exit_code() == 5


async def test_a_terminal_has_the_size_of_the_clients(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="terminal", containers=(Container(script=FOREVER),)))
    url = kubelet.streaming_url("exec", "terminal", command=["sh"], input=1, output=1, tty=1)
    with anyio.fail_after(30):
        async with websocket_command(url, WEBSOCKET[0]) as command:
            await command.resize(101, 43)
            await command.write(
                STDIN, b'stty size; while [ "$(stty size)" != \'43 101\' ]; do :; done; echo re""sized\n'
            )
            await command.read_until(b"resized\r\n", STDOUT)
            await command.write(STDIN, b"exit 3\n")
            assert await command.exit_code() == 3


async def test_a_client_can_attach(kubelet: StandaloneKubelet) -> None:
    main = Container(script="while read line; do echo got $line; done; exec sleep 100000", stdin=True)
    kubelet.runs(Pod(name="attach", containers=(main,)))
    url = kubelet.streaming_url("attach", "attach", input=1, output=1, error=1)
    with anyio.fail_after(30):
        async with spdy_command(url, "v4.channel.k8s.io", stdin=True) as command:
            await command.write(STDIN, b"hello\n")
            await command.read_until(b"got hello\n", STDOUT)
    assert kubelet.log("attach") == "got hello\n"


async def test_a_port_can_be_forwarded(kubelet: StandaloneKubelet) -> None:
    server = Container(script="mkdir /www; echo hello >/www/index.html; exec httpd -f -p 8080 -h /www")
    kubelet.runs(Pod(name="forward", containers=(server,)))
    url = kubelet.streaming_url("portForward", "forward", container="")
    with anyio.fail_after(30):
        async with spdy_ports(url) as ports:
            async with await ports.connect(8080) as connection:
                await connection.send(b"GET / HTTP/1.0\r\n\r\n")
                answer = b"".join([data async for data in connection])
                assert answer.endswith(b"hello\n")
            async with await ports.connect(8081) as nobody:
                assert "refused" in await nobody.error_text()


async def test_a_command_can_be_run_to_its_end(kubelet: StandaloneKubelet) -> None:
    kubelet.runs(Pod(name="run", containers=(Container(script=FOREVER),)))
    assert kubelet.sh("run", "echo hello there") == "hello there\n"
    with pytest.raises(HttpError) as caught:
        kubelet.sh("run", "cat /no/such/file")
    assert "exited with 1" in caught.value.text
    assert "can't open '/no/such/file'" in caught.value.text


async def test_a_running_container_can_be_checkpointed(kubelet: StandaloneKubelet) -> None:
    repeated = "while :; do sleep 1; done"  # CRIU ends the system call that a process is in
    kubelet.runs(Pod(name="checkpoint", containers=(Container(script=repeated),)))
    answer = kubelet.post("/checkpoint/default/checkpoint-node/main").decode()
    assert "/var/lib/kubelet/checkpoints/checkpoint-checkpoint-node_default-main-" in answer
    assert kubelet.sh("checkpoint", "echo alive") == "alive\n"
