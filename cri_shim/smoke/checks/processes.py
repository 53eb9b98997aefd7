"""What a container's process begins with: its arguments, variables, directory, terminal; and one end it may find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, eventually

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

processes = Capability("processes")
_MIB = 1 << 20


@processes.check
async def command_and_arguments(s: Subject) -> None:
    """Command and arguments take the place of the image's entrypoint and command as Kubernetes documents it."""
    image = await s.defaults_image()
    for command, args, expected in (
        ([], [], "entrypoint cmd"),
        ([], ["mine", "too"], "entrypoint mine too"),
        (["sh", "-c", "echo only"], [], "only"),
        (["sh", "-c", 'echo "$@"', "sh"], ["a  b", ""], "a  b "),
    ):
        said = await s.says("", command=command, args=args, image=image)
        equal(f"for command {command} and args {args}", [expected], said)


@processes.check
async def environment(s: Subject) -> None:
    """Variables are those of the image and of the request; the request's win."""
    envs = [cri.KeyValue(key="OVERRIDDEN", value=b"request"), cri.KeyValue(key="ADDED", value=b"a = $X \xc3\xa4")]
    script = 'echo "$FROM_IMAGE|$OVERRIDDEN|$ADDED"'
    equal("variables", ["image|request|a = $X ä"], await s.says(script, envs=envs, image=await s.defaults_image()))


@processes.check
async def working_directory(s: Subject) -> None:
    """The working directory is the request's, or the image's; one that there is not is made."""
    image = await s.defaults_image()
    equal("the image's directory", ["/work"], await s.says("pwd", image=image))
    equal("the request's directory", ["/tmp"], await s.says("pwd", image=image, working_dir="/tmp"))
    equal("a new directory", ["/tmp/not/there"], await s.says("pwd", working_dir="/tmp/not/there"))


@processes.check
async def terminal(s: Subject) -> None:
    """A container that asks for a terminal has one; another has none."""
    probe = "for fd in 0 1 2; do test -t $fd && echo yes || echo no; done"
    lines = [line.strip() for line in await s.says(probe, tty=True)]
    equal("a terminal on each descriptor", ["yes"] * 3, lines)
    equal("none", ["no"] * 3, await s.says(probe))


@processes.check
async def stdin_is_empty_unless_asked_for(s: Subject) -> None:
    """A container without stdin reads its end at once."""
    equal("the end", ["over"], await s.says("cat; echo over"))


@processes.check
async def file_systems_are_its_own(s: Subject) -> None:
    """What a container writes is not in another container of the same image."""
    container = await s.run(s.container_config())
    await s.shell(container, "echo mine > /tmp/mine")
    equal("no file of the other's", ["none"], await s.says("cat /tmp/mine 2>/dev/null || echo none"))


@processes.check
async def out_of_memory_is_the_reason(s: Subject) -> None:
    """A container that takes more memory than its limit is killed, and the reason is OOMKilled."""
    limit = cri.LinuxContainerResources(memory_limit_in_bytes=24 * _MIB, memory_swap_limit_in_bytes=24 * _MIB)
    config = s.container_config(["sh", "-c", "s=0123456789abcdef; while :; do s=$s$s; done"], resources=limit)
    container = await s.run(config)
    status = await s.exited(container)

    async def told() -> str | None:
        return "yes" if (await s.status(container)).reason == "OOMKilled" else None

    await eventually(told, "the reason OOMKilled", 5, lambda: (status.reason, status.exit_code))
    equal("the exit code", 137, (await s.status(container)).exit_code)
