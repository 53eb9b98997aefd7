"""Running one plugin: found in the plugin directories, told by its environment what to do, its errors understood.

Source: CNI specification, sections 2 (execution protocol) and 5 (results).
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import msgspec
import structlog

from cri_shim import errors
from cri_shim.linux import process
from cri_shim.observe.dependencies import PluginRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

log = structlog.get_logger(__name__)

PLUGIN_TIMEOUT: Final = 60.0
_BUSY_TRIES: Final = 25
_BUSY_PAUSE: Final = 0.2  # seconds; 5 s in all, while a new version of the program is being written
_GRACE: Final = 10.0  # seconds that an ADD or DEL may still take once nobody waits for it
_QUOTED: Final = 1000
_OUTPUT_LIMIT: Final = 1 << 20


class PluginError(errors.Unknown):
    """A plugin ran and failed; `cni_code` is the specification's (section 5.2) or, from 100 on, the plugin's own; 0 if
    it gave none. `said` is its message and details, "" if it died without the JSON that it owes.
    """

    def __init__(self, text: str, *, cni_code: int = 0, said: str = "") -> None:
        super().__init__(text)
        self.cni_code = cni_code
        self.said = said


class MissingPlugin(errors.FailedPrecondition):
    """There is no program of the plugin's name, so it can't have run."""


class _Diagnosis(msgspec.Struct):
    """What a failed plugin prints."""

    code: int | None = 0
    msg: str | None = ""
    details: str | None = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What a plugin is told by environment variables, beside the command."""

    container_id: str = ""
    netns: str = ""
    ifname: str = ""
    arguments: tuple[tuple[str, str], ...] = ()

    def environment(self, command: str, bin_dirs: tuple[str, ...]) -> dict[str, str]:
        """Our own environment with the CNI variables set, all of them, for some plugins insist on empty ones."""
        return {
            **os.environ,
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": self.netns,
            "CNI_IFNAME": self.ifname,
            "CNI_ARGS": ";".join(f"{key}={value}" for key, value in self.arguments),
            "CNI_PATH": ":".join(bin_dirs),
        }


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs plugins found in `bin_dirs`, each for at most `timeout` seconds."""

    bin_dirs: tuple[str, ...]
    timeout: float = PLUGIN_TIMEOUT

    def find(self, plugin_type: str) -> str:
        """The path of the plugin's program, in the first directory that has it; blocks on the disk.

        Raises `MissingPlugin`.
        """
        for directory in self.bin_dirs:
            path = os.path.join(directory, plugin_type)
            if os.path.isfile(path):
                return path
        raise MissingPlugin(
            f'no program for CNI plugin "{plugin_type}" in {", ".join(self.bin_dirs)}; the network add-on has to '
            "install it there, or bin_dirs has to name the directory that it is in"
        )

    async def run(self, plugin_type: str, command: str, invocation: Invocation, stdin: bytes) -> bytes:
        """Have a plugin carry out `command` ("ADD", "DEL", …) and return its standard output.

        Raises `PluginError` when it fails, `MissingPlugin`, `errors.FailedPrecondition` when it can't be started,
        and `errors.DeadlineExceeded` when it takes too long and has been killed. A cancelled ADD or DEL goes on to its
        end, for some seconds: what half of one leaves, a plugin's DEL may fail on for ever, as bridge's does between
        its address and its iptables chain.
        """
        what = f'plugin type="{plugin_type}" failed ({command.lower()})'
        try:
            path = await anyio.to_thread.run_sync(self.find, plugin_type)
            environment = invocation.environment(command, self.bin_dirs)
            grace = _GRACE if command in ("ADD", "DEL") else 0.0
            with PluginRun(plugin_type, command):
                done = await _run_when_written(path, environment, stdin, self.timeout, grace)
                if done.returncode != 0:
                    raise _failure(what, done)
        except PluginError:
            raise
        except errors.CriError as error:
            raise error.because(what) from error
        if done.stderr:
            log.debug(
                "a CNI plugin wrote to standard error", plugin=plugin_type, command=command, text=_text(done.stderr)
            )
        return done.stdout


async def _run_when_written(
    path: str, env: Mapping[str, str], stdin: bytes, timeout: float, grace: float
) -> process.Completed:
    run = partial(process.run, [path], env=env, stdin=stdin, timeout=timeout, output_limit=_OUTPUT_LIMIT)
    for attempt in range(1, _BUSY_TRIES + 1):
        try:
            return await _unbroken(run, grace)
        except OSError as error:
            if error.errno != errno.ETXTBSY or attempt == _BUSY_TRIES:
                raise errors.FailedPrecondition(f"{path} can't be started: {error.strerror}") from error
        await anyio.sleep(_BUSY_PAUSE)
    raise errors.Internal("unreachable: the last attempt returns or raises")


async def _unbroken(run: Callable[[], Awaitable[process.Completed]], grace: float) -> process.Completed:
    """What `run` comes to. Cancelled, it has `grace` seconds to end by itself, and is cancelled only then."""
    outcome: process.Completed | Exception | None = None
    scope, ended = anyio.CancelScope(shield=True), anyio.Event()

    async def to_its_end() -> None:
        nonlocal outcome
        with scope:
            try:
                outcome = await run()
            except Exception as error:  # noqa: BLE001  (raised below, outside of the task group)
                outcome = error
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(to_its_end)
        try:
            await ended.wait()
        finally:
            scope.deadline = anyio.current_time() + grace
    if isinstance(outcome, process.Completed):
        return outcome
    raise outcome or errors.Internal("unreachable: a run that is cancelled has a caller that is")


def _failure(what: str, done: process.Completed) -> PluginError:
    ended = f"exit status {done.returncode}" if done.returncode > 0 else f"killed by signal {-done.returncode}"
    try:
        diagnosis = msgspec.json.decode(done.stdout, type=_Diagnosis)
    except (msgspec.DecodeError, UnicodeDecodeError):
        diagnosis = _Diagnosis()
    said = "; ".join(part for part in (diagnosis.msg, diagnosis.details) if part)
    text = said or _text(done.stderr) or _text(done.stdout) or "no error message"
    return PluginError(f"{what}: {text}" + ("" if said else f" ({ended})"), cni_code=diagnosis.code or 0, said=said)


def _text(output: bytes) -> str:
    return output.decode(errors="replace").strip()[-_QUOTED:]
