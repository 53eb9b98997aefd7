"""PortForward: connections to a pod's ports."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import NotFound
from cri_shim.smoke.check import Capability
from cri_shim.smoke.checks.network import serve
from cri_shim.smoke.expect import equal, eventually, refused, that
from cri_shim.smoke.streams.ports import Ports, ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cri_shim.smoke.session import Pod
    from cri_shim.smoke.subject import Subject

port_forward = Capability("port-forward")
_ONE, _TWO, _CLOSED = 7081, 7082, 7099


@asynccontextmanager
async def _session(s: Subject, pod: Pod, *numbers: int, tunnelled: bool = False) -> AsyncIterator[Ports]:
    request = cri.PortForwardRequest(pod_sandbox_id=pod.id, port=list(numbers))
    url = (await s.runtime.port_forward(request)).url
    async with ports(s.place, url, tunnelled=tunnelled) as session:
        yield session


async def _echoed(session: Ports, port: int, text: bytes) -> bytes:
    """What the server at `port` sends back, once it listens."""

    async def said() -> bytes | None:
        return await (await session.connect(port)).echoed(text) or None

    return await eventually(said, f"an answer of port {port}")


@port_forward.check
async def port_over_spdy(s: Subject) -> None:
    """Over SPDY, as kubelets speak it, a connection reaches a server on the pod's loopback."""
    pod = await s.pod()
    await serve(s, pod, _ONE)
    async with _session(s, pod, _ONE) as session:
        equal("an echo", b"hello", await _echoed(session, _ONE, b"hello"))


@port_forward.check
async def port_through_a_websocket(s: Subject) -> None:
    """The same in a tunnel of WebSocket messages, as kubectl sends it."""
    pod = await s.pod()
    await serve(s, pod, _ONE)
    async with _session(s, pod, _ONE, tunnelled=True) as session:
        equal("an echo", b"hello", await _echoed(session, _ONE, b"hello"))


@port_forward.check
async def several_connections_at_once(s: Subject) -> None:
    """Connections to two ports in one session are open at the same time, and do not get mixed up."""
    pod = await s.pod()
    for port in (_ONE, _TWO):
        await serve(s, pod, port)
    async with _session(s, pod, _ONE, _TWO) as session:
        for port in (_ONE, _TWO):
            await _echoed(session, port, b"ready")
        found: dict[int, bytes] = {}

        async def ask(port: int) -> None:
            found[port] = await _echoed(session, port, b"%d" % port * 1000)

        async with anyio.create_task_group() as tasks:
            for port in (_ONE, _TWO):
                tasks.start_soon(ask, port)
    equal("both echoes", {port: b"%d" % port * 1000 for port in (_ONE, _TWO)}, found)


@port_forward.check
async def closed_port_is_an_error_of_its_connection(s: Subject) -> None:
    """A connection to a port on which nobody listens fails, with a text that says so."""
    async with _session(s, await s.shared_pod(), _CLOSED) as session:
        text = await (await session.connect(_CLOSED)).error_text()
    that(str(_CLOSED) in text, f"an error that names port {_CLOSED}", text)


@port_forward.check
async def stopped_pod_is_refused(s: Subject) -> None:
    """No port of a pod that was stopped is forwarded."""
    pod = await s.pod()
    await s.stop_pod(pod)
    await refused(s.runtime.port_forward(cri.PortForwardRequest(pod_sandbox_id=pod.id, port=[_ONE])), "a stopped pod")


@port_forward.check
async def missing_pod_is_not_found(s: Subject) -> None:
    """A port of a pod that is not there is NotFound."""
    request = cri.PortForwardRequest(pod_sandbox_id="f" * 64, port=[_ONE])
    await refused(s.runtime.port_forward(request), "a pod that there is not", NotFound)
