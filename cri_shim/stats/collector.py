"""Looks at every running container and every ready pod in the background, so that a call only has to read memory.

A round costs a few reads for each cgroup, in a thread; most of that is the kernel's, which adds up what it counts when
it is asked. So rounds come just before somebody is expected to ask (`pace.py`): one each `stats_collect_period` at
most, each ten seconds at least, and fewer where they would take more than a twentieth of a CPU: a node of a thousand
containers is looked at less often, not at the cost of its pods. What was started since the last round, and what was
last seen too long ago because nobody was expected, is looked at in the call.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from cri_shim.errors import CriError, NotFound
from cri_shim.state.sandbox import Sandbox, SandboxState
from cri_shim.stats.network import Interface, interfaces
from cri_shim.stats.pace import Pace
from cri_shim.stats.sample import Sample, nano_cores, total
from cri_shim.stats.task_metrics import sample_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cri_shim.containerd.tasks import Tasks
    from cri_shim.state.container import Container
    from cri_shim.state.store import Store
    from cri_shim.stats.group import Group
    from cri_shim.stats.hierarchy import Hierarchies

log = structlog.get_logger(__name__)

RUNC = "io.containerd.runc.v2"
"""The runtime (runc, crun) whose containers' processes are the node's own."""

_CGROUP, _NETWORK, _METRICS = "its cgroup", "its network", "its runtime's metrics"  # what can fail

_SHORTEST_WINDOW = 0.5  # of the period: a rate over less time is left out


@dataclass(eq=False, slots=True)
class Reading:
    """The last look at one object; `encoded` is for whoever answers with it, and goes with the next look."""

    sample: Sample
    base: Sample | None = None  # an earlier one, that the rate is against
    nano_cores: int | None = None
    interfaces: tuple[Interface, ...] | None = None  # of a pod; None for one on the node's network
    encoded: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to be looked at, as it was when the round began."""

    id: str
    pid: int
    parent: str = ""  # a pod's cgroup
    netns_path: str = ""
    pod: bool = False


class Collector:
    """The newest reading of each container and sandbox; `period` is in seconds."""

    def __init__(
        self,
        containers: Store[Container],
        sandboxes: Store[Sandbox],
        hierarchies: Hierarchies,
        tasks: Tasks,
        period: float,
    ) -> None:
        self._containers = containers
        self._sandboxes = sandboxes
        self._hierarchies = hierarchies
        self._tasks = tasks
        self._pace = Pace(period)
        self._spent = 0.0  # CPU time of the last round over everything, in seconds
        self._looking = anyio.Lock()
        self._readings: dict[str, Reading] = {}
        self._groups: dict[tuple[str, int], Group] = {}  # by id and pid
        self._failing: set[tuple[str, str]] = set()  # what the log has told of

    async def collect(self) -> None:
        """Look at everything, round after round, for ever."""
        while True:
            async with self._looking:
                self._spent = await self._round(self._containers, self._sandboxes)
            self._forget()
            await anyio.sleep(self._pace.pause(time.monotonic(), self._spent))

    async def look(self, things: Iterable[Container | Sandbox]) -> None:
        """Look now at those of `things` that run and whose reading is too old or not there, and at new ones' pods.

        A pod that was looked at before its container was there would be told of without it until the next round.
        """
        self._pace.asked(time.monotonic())
        things = list(things)
        if not self._due(things):
            return
        async with self._looking:
            due = self._due(things)  # another call may have looked meanwhile
            containers = [thing for thing in due if not isinstance(thing, Sandbox)]
            pods = {thing.metadata.sandbox_id for thing in containers if thing.id not in self._readings}
            pods |= {thing.id for thing in due if isinstance(thing, Sandbox)}
            if due:
                await self._round(containers, [pod for each in pods if (pod := self._sandboxes.get(each)) is not None])

    def _due(self, things: list[Container | Sandbox]) -> list[Container | Sandbox]:
        """Those that have to be looked at before they are told of; no shim is asked for a second time in a call."""
        now, due = time.time_ns(), []
        for thing in things:
            if _runs(thing):
                reading = self._readings.get(thing.id)
                local = isinstance(thing, Sandbox) or thing.runtime.name == RUNC
                if reading is None or (local and self._pace.stale((now - reading.sample.at) / 1e9, self._spent)):
                    due.append(thing)
        return due

    def of(self, thing: Container | Sandbox) -> Reading | None:
        """The newest reading; None for what doesn't run, or has vanished."""
        return self._readings.get(thing.id) if _runs(thing) else None

    def group(self, thing: Container | Sandbox) -> Group | None:
        """Its cgroup; None for one that is not on this node, or not seen yet."""
        return self._groups.get((thing.id, thing.status.pid))

    async def _round(self, containers: Iterable[Container], sandboxes: Iterable[Sandbox]) -> float:
        """Look at what runs of these; the CPU time that took, in seconds."""
        running = [container for container in containers if container.running]
        local = [_Target(item.id, item.status.pid) for item in running if item.runtime.name == RUNC]
        pods = [_pod(sandbox) for sandbox in sandboxes if _runs(sandbox)]
        found, spent = await to_thread.run_sync(self._look_at, [*local, *pods])
        foreign = [item.id for item in running if item.runtime.name != RUNC]
        for each, sample in (await self._ask(foreign)).items():
            found[each] = Reading(sample)
        for each, reading in found.items():
            self._readings[each] = self._rated(reading, self._readings.get(each))
        self._sum_up(pods)
        return spent

    def _look_at(self, targets: list[_Target]) -> tuple[dict[str, Reading], float]:
        begin = time.thread_time()
        found = {}
        for target in targets:
            try:
                found[target.id] = self._look_at_one(target)
            except NotFound:  # it has ended meanwhile
                self._groups.pop((target.id, target.pid), None)
            except (CriError, OSError) as error:
                self._complain(target.id, _CGROUP, error)
            else:
                self._failing.discard((target.id, _CGROUP))
        return found, time.thread_time() - begin

    def _look_at_one(self, target: _Target) -> Reading:
        sample = Sample(time.time_ns())
        if target.parent or not target.pod:
            sample = self._group(target).sample()
        return Reading(sample, interfaces=self._interfaces(target) if target.netns_path else None)

    def _interfaces(self, target: _Target) -> tuple[Interface, ...]:
        """A pod's interfaces; none while its network is being taken down."""
        try:
            found = interfaces(target.pid, target.netns_path)
        except (CriError, OSError) as error:
            self._complain(target.id, _NETWORK, error)
            return ()
        self._failing.discard((target.id, _NETWORK))
        return found

    def _complain(self, about: str, part: str, error: Exception) -> None:
        """Log a failure once, not each second."""
        if (about, part) not in self._failing:
            self._failing.add((about, part))
            log.warning("usage can't be measured", id=about, of=part, error=str(error))

    def _group(self, target: _Target) -> Group:
        key = (target.id, target.pid)
        if (known := self._groups.get(key)) is None:
            hierarchies = self._hierarchies
            known = hierarchies.of_path(target.parent) if target.pod else hierarchies.of_process(target.pid, target.id)
            self._groups[key] = known
        return known

    async def _ask(self, ids: list[str]) -> dict[str, Sample]:
        """The samples of containers whose runtime alone knows what they use."""
        if not ids:
            return {}
        try:
            metrics = await self._tasks.metrics(*(f"id=={each}" for each in ids))
        except CriError as error:
            for each in ids:
                self._complain(each, _METRICS, error)
            return {}
        found = {}
        for metric in metrics:
            try:
                found[metric.id] = sample_of(metric)
            except CriError as error:  # of one runtime; another's are as good as ever
                self._complain(metric.id, _METRICS, error)
            else:
                self._failing.discard((metric.id, _METRICS))
        return found

    def _rated(self, reading: Reading, before: Reading | None) -> Reading:
        """`reading` with its rate against the one before, or against that one's base where it came too soon after."""
        if before is not None:
            long_enough = reading.sample.at - before.sample.at >= self._pace.period * _SHORTEST_WINDOW * 1e9
            reading.base = before.sample if long_enough else before.base
            if reading.base is not None:
                reading.nano_cores = nano_cores(reading.base, reading.sample)
        return reading

    def _sum_up(self, pods: Iterable[_Target]) -> None:
        """Make up for the cgroup that a pod without a parent has not got: the sum of its containers."""
        without = {target.id for target in pods if not target.parent}
        parts: Mapping[str, list[Sample]] = {each: [] for each in without}
        for container in self._containers if without else ():
            if container.metadata.sandbox_id in without and (reading := self.of(container)) is not None:
                parts[container.metadata.sandbox_id].append(reading.sample)
        for each in without & self._readings.keys():
            reading, before = self._readings[each], self._readings[each].base
            reading.sample = total(reading.sample.at, parts[each])
            reading.nano_cores = nano_cores(before, reading.sample) if before is not None else None

    def _forget(self) -> None:
        """Let go of what has ended since."""
        for each in [each for each in self._readings if not self._is_there(each)]:
            del self._readings[each]
        for about, part in list(self._failing):
            if not self._is_there(about):
                self._failing.discard((about, part))
        for key in list(self._groups):  # a copy: another look may be adding to it in its thread
            if key[0] not in self._readings:
                self._groups.pop(key, None)

    def _is_there(self, each: str) -> bool:
        thing = self._containers.get(each) or self._sandboxes.get(each)
        return thing is not None and _runs(thing)


def _runs(thing: Container | Sandbox) -> bool:
    if isinstance(thing, Sandbox):
        return thing.status.state is SandboxState.READY
    return thing.running


def _pod(sandbox: Sandbox) -> _Target:
    linux = sandbox.metadata.config.linux
    return _Target(
        sandbox.id,
        sandbox.status.pid,
        parent=linux.cgroup_parent if linux is not None else "",
        netns_path=sandbox.metadata.netns_path,
        pod=True,
    )
