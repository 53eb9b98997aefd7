"""Log files as a kubelet reads and rotates them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import NotFound
from cri_shim.smoke import cri_log
from cri_shim.smoke.check import Capability
from cri_shim.smoke.expect import equal, eventually, refused, that

if TYPE_CHECKING:
    from cri_shim.smoke.subject import Subject

logs = Capability("logs")


async def _entries(s: Subject, script: str, **fields: Any) -> list[cri_log.Entry]:
    """The log of a container that has run this script to its end."""
    container = await s.run(s.container_config(["sh", "-c", script], **fields))
    await s.exited(container)
    return await s.log(container)


async def _reopen(s: Subject, container: str) -> None:
    await s.runtime.reopen_container_log(cri.ReopenContainerLogRequest(container_id=container))


@logs.check
async def path_is_where_it_was_asked_for(s: Subject) -> None:
    """The log is the file that the pod's log directory and the container's log path name."""
    pod = await s.shared_pod()
    config = s.container_config(["sh", "-c", "echo there"])
    container = await s.run(config)
    await s.exited(container)
    path = f"{pod.config.log_directory}/{config.log_path}"
    equal("the path", path, (await s.status(container)).log_path)
    that(b"there" in await s.place.path(path).read_bytes(), "the output in it", path)


@logs.check
async def streams_are_told_apart(s: Subject) -> None:
    """Lines of both outputs are there, each marked with its stream and its time."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    entries = await _entries(s, "echo out; echo err >&2")
    found = {(entry.stream, entry.tag, entry.content) for entry in entries}
    equal("the entries", {("stdout", "F", b"out"), ("stderr", "F", b"err")}, found)
    times = [datetime.fromisoformat(entry.time) for entry in entries]
    that(all(before < time < before + timedelta(minutes=5) for time in times), "times of now", entries)


@logs.check
async def order_is_kept(s: Subject) -> None:
    """A thousand lines are all there, in order, when the container has ended."""
    entries = await _entries(s, "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done")
    equal("the lines", [f"line {number}" for number in range(1000)], cri_log.text(entries))


@logs.check
async def long_lines_are_in_parts(s: Subject) -> None:
    """A line of 64 KiB is there whole, in parts that are marked P but for the last."""
    script = "s=0123456789abcdef; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do s=$s$s; done; echo $s; echo short"
    entries = await _entries(s, script)
    that(len(entries) > 2, "several parts", len(entries))
    equal("the marks", ["P"] * (len(entries) - 2) + ["F", "F"], [entry.tag for entry in entries])
    equal("the lines", ["0123456789abcdef" * 4096, "short"], cri_log.text(entries))


@logs.check
async def line_without_an_end_is_there(s: Subject) -> None:
    """What was written last is in the log, though no newline came after it."""
    equal("the lines", ["whole", "rest"], cri_log.text(await _entries(s, "echo whole; printf rest")))


@logs.check
async def empty_lines_are_lines(s: Subject) -> None:
    """Empty lines are entries without content."""
    equal("the contents", [b"", b"", b"x"], [entry.content for entry in await _entries(s, "echo; echo; echo x")])


@logs.check
async def bytes_stay_as_they_are(s: Subject) -> None:
    """Bytes that are no text are written as they came."""
    (entry,) = await _entries(s, "printf '\\377\\001 \\t x\\n'")
    equal("the bytes", b"\xff\x01 \t x", entry.content)


@logs.check
async def terminal_is_logged(s: Subject) -> None:
    """What a container with a terminal says is logged as stdout."""
    entries = await _entries(s, "echo out; echo err >&2", tty=True)
    found = [(entry.stream, entry.content.rstrip(b"\r")) for entry in entries]
    equal("the entries", [("stdout", b"out"), ("stdout", b"err")], found)


@logs.check
async def reopened_after_a_rename(s: Subject) -> None:
    """After ReopenContainerLog new lines go to a new file, and all are in one of the two, as when logs are rotated."""
    container = await s.run(s.container_config(["sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"]))
    await s.says_first(container, "3")
    path = s.place.path((await s.status(container)).log_path)
    rotated = path.with_name(path.name + ".rotated")
    await path.rename(rotated)
    await _reopen(s, container)

    async def more() -> bool | None:
        return len(await s.log(container)) > 5 or None

    await eventually(more, "lines in the new file")
    await s.stop(container)
    lines = cri_log.text(cri_log.parse(await rotated.read_bytes())) + cri_log.text(await s.log(container))
    equal("the lines of both files", [str(number) for number in range(len(lines))], lines)


@logs.check
async def reopening_is_for_those_that_run(s: Subject) -> None:
    """ReopenContainerLog is refused for a container that has ended, and NotFound for one that is not there."""
    container = await s.run(s.container_config(["sh", "-c", "exit 0"]))
    await s.exited(container)
    await refused(_reopen(s, container), "a container that has ended")
    await refused(_reopen(s, "f" * 64), "a container that there is not", NotFound)


@logs.check
async def no_path_no_log(s: Subject) -> None:
    """A container without a log path runs, and no log is told of."""
    container = await s.run(s.container_config(["sh", "-c", "echo unheard"], log_path=""))
    equal("the exit code", 0, (await s.exited(container)).exit_code)
