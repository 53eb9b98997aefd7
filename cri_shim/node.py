"""The composition root: builds the parts, hands them to each other, owns their lifetimes.

Start: the socket listens first and answers Unavailable, so that a kubelet that is quicker than we are waits instead of
failing; then containerd is found and checked, CNI and images are read, and what runs is recovered. Only then is the
server ready. Stop: calls under way are answered, with all that they depend on still at work; then the reverse. Pods go
on running, and the next start finds them.
"""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.cni import Cni
from cri_shim.config.image_settings import host_platform
from cri_shim.containerd.backoff import doubling
from cri_shim.containerd.client import Client
from cri_shim.cri.container.accounts import AccountsCache
from cri_shim.cri.container.checkpointed import checkpointed
from cri_shim.cri.image.pulls import Pulls
from cri_shim.cri.image.registries import Registries
from cri_shim.cri.image.usage import SnapshotUsage
from cri_shim.cri.image_service import ImageService
from cri_shim.cri.log_names import names
from cri_shim.cri.parts import Parts
from cri_shim.cri.recovery import recover
from cri_shim.cri.remote_runtime import NodeRuntime
from cri_shim.cri.runtime_handlers import base_specs, runtime_handlers
from cri_shim.cri.runtime_service import RuntimeService
from cri_shim.errors import Unavailable
from cri_shim.events.broadcast import Broadcast
from cri_shim.events.exits import ExitWatch
from cri_shim.events.monitor import ContainerdHealth, monitor
from cri_shim.linux import blockio, resctrl, selinux
from cri_shim.linux.cdi import CdiSpecs
from cri_shim.linux.facts import gather
from cri_shim.observe.dependencies import watch_queue
from cri_shim.observe.metrics import serving_metrics
from cri_shim.server.serve import Server
from cri_shim.server.under_way import UnderWay
from cri_shim.state.container import REASON_OOM_KILLED
from cri_shim.state.flights import Flights
from cri_shim.state.images import ImageStore
from cri_shim.state.names import NameIndex
from cri_shim.state.overlap import settle
from cri_shim.state.paths import Paths
from cri_shim.state.selinux_levels import SelinuxLevels
from cri_shim.state.sole import sole_server
from cri_shim.state.store import Store
from cri_shim.stats.collector import Collector
from cri_shim.stats.hierarchy import Hierarchies
from cri_shim.streaming.server import StreamingServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from cri_shim.config.containerd_settings import TasksSettings
    from cri_shim.config.reloads import Reloads
    from cri_shim.config.runtime_settings import CniSettings, RuntimeSettings
    from cri_shim.config.settings import Settings
    from cri_shim.observe.supervisor import Supervisor
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.selinux import Contexts
    from cri_shim.state.container import Container
    from cri_shim.state.sandbox import Sandbox

log = structlog.get_logger(__name__)

_PAUSES = (0.05, 2.0)  # seconds: the first, the longest
_RIVAL = "both have the same pods: put io.containerd.grpc.v1.cri into its disabled_plugins, and restart it"


async def serve(settings: Settings, supervisor: Supervisor, reloads: Reloads) -> None:
    """Serve the CRI until cancelled; `supervisor` hears how far it is, `reloads` brings settings that have changed.

    Raises FailedPrecondition when containerd is too old or lacks a service, or SELinux is asked for and its policy has
    no labels for containers, AlreadyExists when another server answers on the socket or works in the state directory,
    InvalidArgument for settings that can't be met.
    """
    started = time.monotonic()
    paths = Paths(root=settings.cri_root, state=settings.cri_state)
    await to_thread.run_sync(_make_directories, paths)
    confinement = await to_thread.run_sync(_selinux, settings.runtime)
    async with (
        sole_server(paths.state),
        Client(settings.containerd.address) as containerd,
        anyio.create_task_group() as tasks,
        UnderWay(tasks) as under_way,
    ):
        parts = await _build(settings, containerd, under_way.group, confinement)
        reloads.taken_by(parts.registries.take_over)
        streaming = StreamingServer(settings.streaming, NodeRuntime(parts))
        threads = to_thread.current_default_thread_limiter()
        watch_queue("threads", lambda: threads.statistics().tasks_waiting)
        async with (
            serving_metrics(settings.shim.metrics_address),
            _releasing_streams(parts, under_way),
            Server(settings, [RuntimeService(parts, streaming), ImageService(parts)], partial(names, parts)) as server,
        ):
            supervisor.status(f"waiting for containerd at {settings.containerd.address}")
            await _wait_for_containerd(parts)
            supervisor.status("reading what runs")
            await _load(parts)
            await tasks.start(streaming.serve)
            listener = _Listener(parts)
            tasks.start_soon(monitor, containerd, parts.health, listener)
            tasks.start_soon(parts.snapshot_usage.collect)
            tasks.start_soon(parts.collector.collect)
            for network in parts.networks.values():
                tasks.start_soon(network.watch)
            parts.events.begin()
            server.ready()
            log.info("ready", listen=settings.shim.address, seconds=round(time.monotonic() - started, 3))
            supervisor.ready(f"serving at {settings.shim.address}, containerd {parts.health.version}")
            await anyio.sleep_forever()


@asynccontextmanager
async def _releasing_streams(parts: Parts, under_way: UnderWay) -> AsyncIterator[None]:
    """In the end, write what has been read of containers' output, and leave their FIFOs for the next server."""
    try:
        yield
    finally:
        await under_way.end()
        with anyio.CancelScope(shield=True):
            await settle([container.io.release() for container in parts.containers if container.io is not None])


def _selinux(runtime: RuntimeSettings) -> tuple[Contexts | None, SelinuxLevels]:
    """The policy's contexts for containers, None without SELinux, and the levels of which nobody holds one yet."""
    contexts = selinux.contexts_in_use(wanted=runtime.enable_selinux, there=selinux.enabled())
    return contexts, SelinuxLevels(runtime.selinux_category_range if runtime.enable_selinux else 0)


async def _build(
    settings: Settings, containerd: Client, tasks: TaskGroup, confinement: tuple[Contexts | None, SelinuxLevels]
) -> Parts:
    paths = Paths(root=settings.cri_root, state=settings.cri_state)
    registries = Registries(paths.registry_hosts)
    await to_thread.run_sync(registries.take_over, settings)
    architecture = host_platform().partition("/")[2]
    containers: Store[Container] = Store("container")
    sandboxes: Store[Sandbox] = Store("sandbox")
    hierarchies = await to_thread.run_sync(Hierarchies.of_this_node)
    return Parts(
        settings=settings,
        containerd=containerd,
        health=ContainerdHealth(),
        paths=paths,
        facts=await to_thread.run_sync(_facts, settings.tasks),
        architecture=architecture,
        networks=_networks(settings),
        base_specs=await to_thread.run_sync(base_specs, settings),
        runtime_handlers=[],
        sandboxes=sandboxes,
        containers=containers,
        sandbox_names=NameIndex(),
        container_names=NameIndex(),
        selinux=confinement[0],
        selinux_levels=confinement[1],
        images=ImageStore(containerd, architecture),
        registries=registries,
        pulls=Pulls(),
        snapshot_usage=SnapshotUsage(containerd, settings, sandboxes),
        accounts=AccountsCache(os.path.join(paths.state, "mounts")),
        cdi=CdiSpecs(settings.runtime.cdi_spec_dirs),
        flights=Flights(tasks),
        exits=ExitWatch(containerd, tasks),
        events=Broadcast(),
        collector=Collector(
            containers, sandboxes, hierarchies, containerd.tasks, settings.runtime.stats_collect_period
        ),
    )


def _facts(tasks: TasksSettings) -> NodeFacts:
    """The node, with the classes that are configured of it."""
    return replace(
        gather(),
        blockio_classes=blockio.classes(tasks.blockio_config_file),
        rdt_rules=resctrl.rules(tasks.rdt_config_file),
    )


def _make_directories(paths: Paths) -> None:
    for directory in (paths.root, paths.state):
        os.makedirs(directory, 0o700, exist_ok=True)
    os.chmod(paths.state, 0o700)


def _networks(settings: Settings) -> dict[str, Cni]:
    """The node's network, and one for each handler that brings a CNI directory of its own."""
    networks = {"": _network(settings, settings.runtime.cni)}
    for name, handler in settings.runtime.containerd.runtimes.items():
        if handler.cni_conf_dir:
            networks[name] = _network(settings, settings.cni_of(handler))
    return networks


def _network(settings: Settings, cni: CniSettings) -> Cni:
    return Cni(
        bin_dirs=cni.bin_dirs,
        conf_dir=cni.conf_dir,
        max_conf_num=cni.max_conf_num,
        setup_serially=cni.setup_serially,
        use_internal_loopback=cni.use_internal_loopback,
        plugin_timeout=settings.shim.cni_plugin_timeout,
    )


async def _wait_for_containerd(parts: Parts) -> None:
    """Wait until containerd answers and is found fit. Raises FailedPrecondition when it is not."""
    pauses = doubling(*_PAUSES)
    while True:
        try:
            parts.health.version = await parts.containerd.check()
            rival = await parts.containerd.serves_cri()
        except Unavailable as error:
            pause = next(pauses)
            log.warning("waiting for containerd", error=str(error), next_try_in=pause)
            await anyio.sleep(pause)
        else:
            parts.health.problem = None
            if rival:
                log.warning("containerd's own CRI plugin is on", remedy=_RIVAL)
            return


async def _load(parts: Parts) -> None:
    async with anyio.create_task_group() as tasks:
        for network in parts.networks.values():
            tasks.start_soon(network.load)
        tasks.start_soon(parts.images.load)
        tasks.start_soon(_ask_handlers, parts)
    await recover(parts)


async def _ask_handlers(parts: Parts) -> None:
    parts.runtime_handlers.extend(await runtime_handlers(parts.settings, parts.containerd))


@dataclass(frozen=True)
class _Listener:
    """What happens on containerd's events."""

    parts: Parts

    async def image_changed(self, name: str) -> None:
        await self.parts.images.changed(name)

    async def oom(self, container_id: str) -> None:
        container = self.parts.containers.get(container_id)
        if container is not None and not container.removing:  # a checkpoint would make its directory anew
            await checkpointed(self.parts, container, reason=REASON_OOM_KILLED)

    async def resync(self) -> None:
        await self.parts.images.load()
