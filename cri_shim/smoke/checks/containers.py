"""CreateContainer, StartContainer, StopContainer, RemoveContainer, ContainerStatus: the life of a container."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from grpclib.exceptions import GRPCError

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import NotFound
from cri_shim.smoke.check import Capability, Failed, Skipped
from cri_shim.smoke.expect import equal, present, refused, skip_unless, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

containers = Capability("containers")
State = cri.ContainerState
CREATED, RUNNING, EXITED = State.CONTAINER_CREATED, State.CONTAINER_RUNNING, State.CONTAINER_EXITED
NOBODY = "f" * 64
_WAIT = "while :; do sleep 0.1; done"


@containers.check
async def states_and_times_follow_its_life(s: Subject) -> None:
    """A container is CREATED, RUNNING and EXITED, and its times say since when."""
    before = time.time_ns() - 60 * 10**9
    container = await s.create(s.container_config())
    created = await s.status(container)
    equal("the state", (CREATED, 0, 0), (created.state, created.started_at, created.finished_at))
    await s.start(container)
    running = await s.status(container)
    equal("the state", (RUNNING, 0), (running.state, running.finished_at))
    await s.stop(container)
    ended = await s.status(container)
    equal("the state", EXITED, ended.state)
    times = [before, ended.created_at, ended.started_at, ended.finished_at]
    that(times == sorted(times), "created, started, finished in this order, in nanoseconds", times)
    equal("the time of creation", created.created_at, ended.created_at)


@containers.check
async def status_tells_what_was_asked_for(s: Subject) -> None:
    """ContainerStatus tells metadata, labels, annotations and image of the request, and an id of the image."""
    config = s.container_config(labels={"shape": "round"}, annotations={"note/key": "any text: ✓"})
    status = await s.status(await s.create(config))
    equal("metadata", config.metadata, status.metadata)
    equal("labels", config.labels, status.labels)
    equal("annotations", config.annotations, status.annotations)
    that(status.image and status.image.image, "the image", status.image)
    that(status.image_ref, "a reference of the image", status)


@containers.check
async def verbose_status_explains(s: Subject) -> None:
    """A verbose ContainerStatus has details."""
    request = cri.ContainerStatusRequest(container_id=await s.shared_container(), verbose=True)
    info = (await s.runtime.container_status(request)).info
    that(info, "details in `info`", info)


@containers.check
async def exit_code_and_reason_are_told(s: Subject) -> None:
    """A command that ends with 0 is Completed, one that ends with 7 is an Error, and the code is told."""
    for code, reason in ((0, "Completed"), (7, "Error")):
        status = await s.exited(await s.run(s.container_config(["sh", "-c", f"exit {code}"])))
        equal("exit code and reason", (code, reason), (status.exit_code, status.reason))


@containers.check
async def stop_sends_sigterm_first(s: Subject) -> None:
    """StopContainer sends SIGTERM and lets the process end by itself."""
    container = await s.run(s.container_config(["sh", "-c", f"trap 'exit 5' TERM; echo ready; {_WAIT}"]))
    await s.says_first(container, "ready")
    await s.stop(container, 10)
    equal("its own exit code", 5, (await s.status(container)).exit_code)


@containers.check
async def stop_kills_after_the_timeout(s: Subject) -> None:
    """What ignores SIGTERM is killed when the timeout is over, not much later."""
    container = await s.run(s.container_config(["sh", "-c", f"trap '' TERM; echo ready; {_WAIT}"]))
    await s.says_first(container, "ready")
    begin = time.monotonic()
    await s.stop(container, 1)
    seconds = time.monotonic() - begin
    status = await s.status(container)
    equal("state and exit code", (EXITED, 137), (status.state, status.exit_code))
    that(0.9 <= seconds < 8, "an end after 1 s", f"{seconds:.1f} s")


@containers.check
async def stop_again_succeeds(s: Subject) -> None:
    """StopContainer of a container that has ended succeeds, and changes nothing."""
    container = await s.run(s.container_config())
    await s.stop(container)
    before = await s.status(container)
    await s.stop(container)
    equal("the status", before, await s.status(container))


@containers.check
async def stop_signal_of_the_image_is_used(s: Subject) -> None:
    """A stop sends the signal that the image's configuration names."""
    script = f"trap 'exit 6' USR1; trap 'exit 5' TERM; echo ready; {_WAIT}"
    container = await s.run(s.container_config(["sh", "-c", script], image=await s.defaults_image()))
    await s.says_first(container, "ready")
    await s.stop(container, 10)
    equal("the exit code of the handler of SIGUSR1", 6, (await s.status(container)).exit_code)


@containers.check
async def stop_signal_of_the_request_is_used(s: Subject) -> None:
    """A stop sends the signal that the request names."""
    script = f"trap 'exit 8' USR2; trap 'exit 5' TERM; echo ready; {_WAIT}"
    config = s.container_config(["sh", "-c", script], stop_signal=cri.Signal.SIGUSR2)
    container = await s.run(config)
    told = (await s.status(container)).stop_signal
    skip_unless(told == cri.Signal.SIGUSR2, "the endpoint does not tell of stop signals")
    await s.says_first(container, "ready")
    await s.stop(container, 10)
    equal("the exit code of the handler of SIGUSR2", 8, (await s.status(container)).exit_code)


@containers.check
async def removed_container_is_gone(s: Subject) -> None:
    """RemoveContainer removes a container that has ended; a second one succeeds."""
    container = await s.run(s.container_config())
    await s.stop(container)
    await s.remove(container)
    await s.remove(container)
    await refused(s.status(container), "a removed container", NotFound)


@containers.check
async def running_container_can_be_removed(s: Subject) -> None:
    """RemoveContainer of a container that runs ends and removes it."""
    container = await s.run(s.container_config())
    await s.remove(container)
    equal("no such container", [], await s.list_containers(id=container))


@containers.check
async def created_container_can_be_removed(s: Subject) -> None:
    """A container that was never started can be removed."""
    container = await s.create(s.container_config())
    await s.remove(container)
    equal("no such container", [], await s.list_containers(id=container))


@containers.check
async def missing_container_is_not_found(s: Subject) -> None:
    """Status and start of a container that is not there are NotFound."""
    await refused(s.status(NOBODY), "the status of a container that there is not", NotFound)
    await refused(s.start(NOBODY), "the start of a container that there is not", NotFound)


@containers.check
async def remove_of_a_missing_container_succeeds(s: Subject) -> None:
    """RemoveContainer of a container that is not there succeeds."""
    await s.remove(NOBODY)


@containers.check
async def start_is_for_created_ones_only(s: Subject) -> None:
    """A container that runs, or has ended, can't be started."""
    container = await s.run(s.container_config())
    await refused(s.start(container), "the start of one that runs")
    await s.stop(container)
    await refused(s.start(container), "the start of one that has ended")


@containers.check
async def missing_image_is_refused(s: Subject) -> None:
    """A container of an image that is not there is refused: nothing is pulled for it."""
    config = s.container_config(image="localhost/cri-smoke/no-such-image:1")
    await refused(s.create(config), "an image that there is not")


@containers.check
async def missing_pod_is_refused(s: Subject) -> None:
    """A container in a pod that is not there is refused."""
    pod = await s.shared_pod()
    request = cri.CreateContainerRequest(pod_sandbox_id=NOBODY, config=s.container_config(), sandbox_config=pod.config)
    await refused(s.runtime.create_container(request), "a pod that there is not")


@containers.check
async def missing_command_is_refused(s: Subject) -> None:
    """A container whose command is not in the image does not run, and says which command."""

    async def run() -> None:
        await s.run(s.container_config(["/no/such/command"]))

    error = await refused(run(), "a command that there is not")
    that("/no/such/command" in str(error), "an error that names the command", error)


@containers.check
async def failed_start_is_told_by_the_status(s: Subject) -> None:
    """A container whose start failed has ended, with an exit code that is not 0 and a reason."""
    try:
        container = await s.create(s.container_config(["/no/such/command"]))
    except GRPCError as error:
        raise Skipped(f"the endpoint refuses such a container when it is created: {error.message}") from error
    await refused(s.start(container), "a command that there is not")
    status = await s.status(container)
    equal("the state", EXITED, status.state)
    that(status.exit_code and status.reason, "an exit code and a reason", status)


@containers.check
async def same_name_is_reserved_and_next_attempt_is_not(s: Subject) -> None:
    """A second container of the same name is refused, or the same; the next attempt is another one."""
    config = s.container_config(["sh", "-c", "exit 0"])
    first = await s.run(config)
    await s.exited(first)
    try:
        again = await s.create(config)
    except Exception as error:  # noqa: BLE001  (whichever it is refused with)
        that("reserved" in str(error) or "exist" in str(error), "an error that says that there is one", error)
    else:
        equal("the same container", first, again)
    metadata = cri.ContainerMetadata(name=present(config.metadata, "a name").name, attempt=1)
    second = await s.run(replace(config, metadata=metadata))
    that(second != first, "another container", second)
    equal("the attempt", metadata, (await s.status(second)).metadata)


@containers.check
async def several_containers_start_at_once(s: Subject) -> None:
    """Five containers of one pod that are asked for at the same time all run."""
    made: list[str] = []

    async def run() -> None:
        made.append(await s.run(s.container_config()))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(run)
    states = {(await s.status(container)).state for container in made}
    if states != {RUNNING}:
        raise Failed("five containers that run", str(states))
