"""ExecSync: commands run to their end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import DeadlineExceeded, NotFound
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, refused, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

exec_sync = Capability("exec-sync")
_MIB = 1 << 20


@exec_sync.check
async def outputs_and_exit_code(s: Subject) -> None:
    """Both outputs come back apart, byte for byte, with the exit code."""
    answer = await s.exec(await s.shared_container(), "sh", "-c", "printf 'o\\000ut'; printf '\\377err' >&2; exit 42")
    equal("the answer", (b"o\0ut", b"\xfferr", 42), (answer.stdout, answer.stderr, answer.exit_code))


@exec_sync.check
async def success_is_zero(s: Subject) -> None:
    """A command that succeeds answers 0 and says nothing."""
    equal("the answer", cri.ExecSyncResponse(), await s.exec(await s.shared_container(), "sh", "-c", "exit 0"))


@exec_sync.check
async def arguments_are_passed_as_they_are(s: Subject) -> None:
    """No shell takes the arguments apart."""
    command = ("sh", "-c", "printf '<%s>' \"$@\"", "sh", "a  b", "", "$HOME", "*")
    equal("the arguments", b"<a  b><><$HOME><*>", (await s.exec(await s.shared_container(), *command)).stdout)


@exec_sync.check
async def stdin_is_empty(s: Subject) -> None:
    """A command that reads finds the end at once."""
    equal("the end", "over", await s.shell(await s.shared_container(), "cat; echo over"))


@exec_sync.check
async def command_is_as_the_container(s: Subject) -> None:
    """A command has the container's variables, directory and user."""
    context = cri.LinuxContainerSecurityContext(run_as_user=cri.Int64Value(value=1001))
    envs = [cri.KeyValue(key="MINE", value=b"yes")]
    container = await s.run(s.container_config(context=context, envs=envs, working_dir="/tmp"))
    said = await s.shell(container, "echo $MINE; pwd; while read n u r; do [ $n = Uid: ] && echo $u; done "
                         "</proc/self/status")  # fmt: skip
    equal("variable, directory, user", "yes\n/tmp\n1001", said)


@exec_sync.check
async def missing_command_is_no_success(s: Subject) -> None:
    """A command that is not in the image is an error, or an exit code that says so."""
    try:
        answer = await s.exec(await s.shared_container(), "/no/such/command")
    except Exception as error:  # noqa: BLE001  (whichever it is refused with)
        that("/no/such/command" in str(error), "an error that names the command", error)
    else:
        that(answer.exit_code in (126, 127), "126 or 127", answer)


@exec_sync.check
async def timeout_ends_the_command(s: Subject) -> None:
    """A command that runs longer than its timeout is ended, and the answer is DeadlineExceeded."""
    container = await s.shared_container()
    begin = time.monotonic()
    await refused(s.exec(container, "sleep", "600", timeout=1), "a command that takes too long", DeadlineExceeded)
    that(time.monotonic() - begin < 8, "an answer after 1 s", f"{time.monotonic() - begin:.1f} s")
    equal("another command", "still here", await s.shell(container, "echo still here"))


@exec_sync.check
async def large_output_is_whole(s: Subject) -> None:
    """A mebibyte of output comes back whole."""
    script = "s=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do s=$s$s; done; printf %s $s"
    answer = await s.exec(await s.shared_container(), "sh", "-c", script)
    equal("bytes", _MIB, len(answer.stdout))
    that(answer.stdout == b"0123456789abcdef" * (_MIB // 16), "the bytes that were written", answer.stdout[:64])


@exec_sync.check
async def many_commands_at_once(s: Subject) -> None:
    """Ten commands at once in one container each get their own answer."""
    container = await s.shared_container()
    said: set[str] = set()

    async def run(number: int) -> None:
        said.add(await s.shell(container, f"echo {number}"))

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(run, number)
    equal("answers", {str(number) for number in range(10)}, said)


@exec_sync.check
async def container_that_has_ended_is_refused(s: Subject) -> None:
    """No command is run in a container that has ended, or was not started."""
    container = await s.create(s.container_config())
    await refused(s.exec(container, "true"), "a container that was not started")
    await s.start(container)
    await s.stop(container)
    await refused(s.exec(container, "true"), "a container that has ended")


@exec_sync.check
async def missing_container_is_not_found(s: Subject) -> None:
    """A command in a container that is not there is NotFound."""
    await refused(s.exec("f" * 64, "true"), "a container that there is not", NotFound)
