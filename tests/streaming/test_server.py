"""Who gets in, who is told what, and who has to give way."""

from __future__ import annotations

import re
import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.streams.tls import TLSStream

from cri_shim.api.runtime import v1 as cri
from cri_shim.config.settings import StreamingSettings, TlsKeyPair
from cri_shim.errors import FailedPrecondition, InvalidArgument, Unavailable
from cri_shim.streaming import server as server_module
from cri_shim.streaming import tls
from cri_shim.streaming.server import StreamingServer
from integration.streaming_client.connect import Refused, dial
from integration.streaming_client.spdy import spdy_client, spdy_command, spdy_ports
from integration.streaming_client.websocket import tunnelled_ports, websocket_client, websocket_command
from tests.streaming.serving import Runtime, Served, serving

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import ByteSendStream

    from cri_shim.cri.remote_streams import RemoteStreams

pytestmark = pytest.mark.anyio

BOTH = cri.ExecRequest(container_id="c", cmd=["both"], stdout=True, stderr=True)
V4 = "v4.channel.k8s.io"


async def answer(served: Served, request: bytes) -> bytes:
    """All that comes back for these bytes."""
    base = served.server.exec(BOTH).rpartition("/exec/")[0]
    stream = await dial(base)
    async with stream:
        await stream.send(request)
        found = b""
        try:
            while True:
                found += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return found


async def test_urls_are_of_the_listening_address(served: Served) -> None:
    attach = served.server.attach(cri.AttachRequest(container_id="c"))
    ports = served.server.port_forward(cri.PortForwardRequest(pod_sandbox_id="p"))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/exec/[\w-]{22}", served.server.exec(BOTH))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/attach/[\w-]{22}", attach)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/portforward/[\w-]{22}", ports)


async def test_no_urls_are_given_out_before_it_listens() -> None:
    with pytest.raises(Unavailable):
        StreamingServer(StreamingSettings(), Runtime()).exec(BOTH)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", ""])
async def test_it_listens_where_it_is_told(address: str) -> None:
    async with (
        serving(StreamingSettings(stream_server_address=address)) as served,
        spdy_command(served.server.exec(BOTH), V4) as session,
    ):
        assert await session.exit_code() == 7


@pytest.mark.parametrize(
    "path", ["/", "/exec", "/exec/", "/exec/x", "/attach/x", "/portforward/x", "/healthz", "/exec/x/y", "/%2e", "*"]
)
async def test_whoever_has_no_token_learns_nothing(served: Served, path: str) -> None:
    found = await answer(served, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert found.endswith(b"\r\n\r\n404 page not found\n")
    assert b"server" not in found.lower()


async def test_a_token_is_good_for_one_connection_and_its_own_path(served: Served) -> None:
    url = served.server.exec(BOTH)
    async with spdy_command(url) as session:
        assert await session.exit_code() == 7
    for again in (url, served.server.exec(BOTH).replace("/exec/", "/attach/")):
        with pytest.raises(Refused) as refused:
            async with spdy_command(again):
                pass
        assert refused.value.status == 404


async def test_other_methods_are_refused(served: Served) -> None:
    found = await answer(served, b"PUT /exec/x HTTP/1.1\r\nHost: h\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"Allow: GET, POST\r\n" in found


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70_000, b"431"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X: y\r\n" * 12_000, b"431"),
    ],
)
async def test_what_is_no_request_is_refused(served: Served, request_bytes: bytes, status: bytes) -> None:
    assert (await answer(served, request_bytes)).startswith(b"HTTP/1.1 " + status)


async def refusal(url: str, *protocols: str) -> Refused:
    with pytest.raises(Refused) as refused:
        async with spdy_client(url, *protocols):
            pass
    return refused.value


async def test_a_protocol_nobody_knows_is_refused_with_those_that_are(served: Served) -> None:
    refused = await refusal(served.server.exec(BOTH), "v9.channel.k8s.io")
    assert refused.status == 403
    accepted = [value for name, value in refused.headers if name == "x-accepted-stream-protocol-versions"]
    assert accepted == [V4, "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
    ports = await refusal(served.server.port_forward(cri.PortForwardRequest()), V4)
    assert ("x-accepted-stream-protocol-versions", "portforward.k8s.io") in ports.headers


async def test_a_client_must_name_a_protocol(served: Served) -> None:
    assert (await refusal(served.server.exec(BOTH))).status == 400


async def test_the_clients_first_choice_that_is_known_wins(served: Served) -> None:
    async with spdy_client(served.server.exec(BOTH), "v9.channel.k8s.io, v3.channel.k8s.io", V4) as (_, protocol):
        assert protocol == "v3.channel.k8s.io"
    async with websocket_client(served.server.exec(BOTH), "v9.channel.k8s.io", "v3.channel.k8s.io", V4) as (_, chosen):
        assert chosen == "v3.channel.k8s.io"


async def test_websocket_protocols_nobody_knows_are_refused(served: Served) -> None:
    with pytest.raises(Refused) as refused:
        async with websocket_command(served.server.exec(BOTH), "chat"):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n", b"426"),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", b"400"),
        ("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n", b"400"),
        ("Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n", b"400"),
        ("Connection: Upgrade\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n", b"400"),
        ("Upgrade: h2c\r\nConnection: Upgrade\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n", b"400"),
    ],
)
async def test_a_handshake_that_is_none_is_refused(served: Served, headers: str, status: bytes) -> None:
    path = served.server.exec(BOTH).partition("/exec")[2]
    found = await answer(served, f"GET /exec{path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode())
    assert found.startswith(b"HTTP/1.1 " + status)


async def test_a_slow_client_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_HANDSHAKE_SECONDS", 0.1)
    with anyio.fail_after(20):
        assert await answer(served, b"GET / HTTP/1.1\r\n") == b""


async def test_the_oldest_of_too_many_clients_without_a_token_gives_way(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_HANDSHAKES", 3)
    url = served.server.exec(BOTH)
    async with AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(await dial(url)) for _ in range(3)]
        async with spdy_command(url) as session:
            assert await session.exit_code() == 7
        with anyio.fail_after(20), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await idle[0].receive()


async def test_a_silent_session_ends(anyio_backend: str) -> None:  # noqa: ARG001
    async with serving(StreamingSettings(stream_idle_timeout=0.2)) as served:
        url = served.server.exec(cri.ExecRequest(cmd=["cat"], stdin=True, stdout=True))
        async with spdy_command(url, stdin=True, stderr=False) as session:
            with anyio.fail_after(20):
                assert await session.read_all() == b""
                await session.client.gone.wait()


async def test_a_silent_session_ends_also_when_its_client_waits_for_the_command_to_read() -> None:
    ended = anyio.Event()

    async def deaf(streams: RemoteStreams) -> int:
        assert streams.resizes
        with pytest.raises(anyio.EndOfStream):
            await streams.resizes.receive()
        ended.set()
        return 0

    async with serving(StreamingSettings(stream_idle_timeout=0.5)) as served:
        served.runtime.commands["deaf"] = deaf
        url = served.server.exec(cri.ExecRequest(cmd=["deaf"], stdin=True, stdout=True, tty=True))
        async with spdy_command(url, stdin=True, tty=True) as session:
            await session.write("stdin", bytes(200_000))
            with anyio.fail_after(20):
                await ended.wait()


@pytest.mark.parametrize("websocket", [False, True])
async def test_a_client_that_does_not_take_its_output_is_still_heard(served: Served, *, websocket: bool) -> None:
    heard: list[bytes] = []
    stopped = anyio.Event()

    async def floods_until_it_hears(streams: RemoteStreams) -> int:
        assert streams.stdin
        assert streams.stdout

        async def flood(stdout: ByteSendStream) -> None:
            while True:
                await stdout.send(bytes(1 << 20))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood, streams.stdout)
            await anyio.sleep(0.3)  # by then, it waits for the client
            heard.append(await streams.stdin.receive())
            stopped.set()
            tasks.cancel_scope.cancel()
        return 0

    served.runtime.commands["flood"] = floods_until_it_hears
    url = served.server.exec(cri.ExecRequest(cmd=["flood"], stdin=True, stdout=True))
    over_websocket, over_spdy = websocket_command(url, V4), spdy_command(url, V4, stdin=True, stderr=False)
    async with over_websocket if websocket else over_spdy as session:
        await anyio.sleep(0.3)
        await session.write("stdin", b"\x03")
        with anyio.fail_after(20):
            await stopped.wait()
    assert heard == [b"\x03"]


async def test_pings_are_answered_in_every_protocol(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(cmd=["cat"], stdin=True, stdout=True))
    async with websocket_command(url, "v5.channel.k8s.io") as session:
        await session.client.ping()
        await session.write("stdin", b"x")
        assert await session.read() == b"x"
        assert session.client.pongs == 1


async def test_a_client_that_closes_its_websocket_is_answered(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(cmd=["cat"], stdin=True, stdout=True))
    async with websocket_command(url, "v5.channel.k8s.io") as session:
        await session.client.close()
        with anyio.fail_after(20):
            await session.client.gone.wait()
        assert session.client.protocol.close_code == 1000


async def test_the_server_closes_its_websocket_when_all_is_said(served: Served) -> None:
    async with websocket_command(served.server.exec(BOTH), "v5.channel.k8s.io") as session:
        with anyio.fail_after(20):
            await session.client.gone.wait()
        assert session.client.protocol.close_code == 1000


@pytest.mark.parametrize(
    ("protocol", "message", "code"),
    [
        ("v5.channel.k8s.io", b"\xff", 1002),
        ("v5.channel.k8s.io", b"\xff\x00\x00", 1002),
        ("base64.channel.k8s.io", b"0not base64", 1007),
    ],
)
async def test_messages_that_can_t_be_meant_end_the_session(
    served: Served, protocol: str, message: bytes, code: int
) -> None:
    url = served.server.exec(cri.ExecRequest(cmd=["cat"], stdin=True, stdout=True))
    async with websocket_command(url, protocol) as session:
        await session.client.send_raw(message)
        with anyio.fail_after(20):
            await session.client.gone.wait()
        assert session.client.protocol.close_code == code


async def test_other_channels_and_empty_messages_are_passed_over(served: Served) -> None:
    url = served.server.exec(cri.ExecRequest(cmd=["cat"], stdin=True, stdout=True))
    async with websocket_command(url, V4) as session:
        for message in (b"", b"\x00", b"\x01x", b"\x09x", b"\xff\x00", b"\x00in"):
            await session.client.send_raw(message)
        assert await session.read() == b"in"


async def test_everything_works_over_tls_with_a_certificate_made_here() -> None:
    pytest.importorskip("cryptography")
    async with serving(StreamingSettings(enable_tls_streaming=True)) as served:
        url = served.server.exec(BOTH)
        assert url.startswith("https://")
        async with spdy_command(url) as session:
            assert await session.exit_code() == 7
        async with websocket_command(served.server.exec(BOTH), "v5.channel.k8s.io") as session_2:
            assert await session_2.exit_code() == 7
        for open_ports in (spdy_ports, tunnelled_ports):
            async with open_ports(served.server.port_forward(cri.PortForwardRequest(pod_sandbox_id="p"))) as ports:
                assert await (await ports.connect(80)).receive() == b"p:80\n"


async def test_an_operators_certificate_is_shown(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    pair = tmp_path / "pair.pem"
    pair.write_bytes(tls._new_pair("127.0.0.1"))
    files = TlsKeyPair(tls_cert_file=str(pair), tls_key_file=str(pair))
    async with serving(StreamingSettings(enable_tls_streaming=True, x509_key_pair_streaming=files)) as served:
        context = ssl.create_default_context(cafile=str(pair))
        port = int(served.server.exec(BOTH).split(":")[2].partition("/")[0])
        stream = await anyio.connect_tcp("127.0.0.1", port)
        async with await TLSStream.wrap(stream, hostname="127.0.0.1", ssl_context=context, standard_compatible=False):
            pass


def test_a_pair_that_can_t_be_used_is_refused(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing.pem")
    with pytest.raises(InvalidArgument, match=r"x509_key_pair_streaming: .*nothing\.pem"):
        tls.server_context(TlsKeyPair(tls_cert_file=nothing, tls_key_file=nothing), "h")


def test_without_the_library_a_certificate_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(FailedPrecondition, match=r"install cri-shim\[tls\]"):
        tls.server_context(TlsKeyPair(), "h")
