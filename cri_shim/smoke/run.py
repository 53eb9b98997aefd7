"""Running the checks, some at once, each against the clock; what comes of each is an outcome, never an exception."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from grpclib.exceptions import GRPCError, StreamTerminatedError

from cri_shim.errors import CriError, Unimplemented, from_status
from cri_shim.smoke import catalog, deviations
from cri_shim.smoke.check import Failed, Outcome, Skipped, State
from cri_shim.smoke.expect import shown
from cri_shim.smoke.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cri_shim.smoke.check import Check
    from cri_shim.smoke.report.progress import Watcher
    from cri_shim.smoke.session import Session

_CLEAN_UP_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Rules:
    """How the checks are run: seconds for each, how many at once, the patterns of those that must not be skipped."""

    timeout: float = 30.0
    parallel: int = 4
    required: tuple[str, ...] = ()

    def applied(self, outcome: Outcome) -> Outcome:
        """The outcome, failed if it was skipped and must not be."""
        check = outcome.check
        if outcome.state is not State.SKIPPED or not catalog.matches(check.id, self.required):
            return outcome
        return Outcome(check, State.FAILED, outcome.seconds, "it to pass (--require)", f"skipped: {outcome.reason}")


async def run_all(session: Session, checks: Sequence[Check], rules: Rules, watcher: Watcher) -> None:
    """Run the checks and tell `watcher` of each."""
    limit = anyio.CapacityLimiter(rules.parallel)

    async def run(check: Check) -> None:
        async with limit:
            watcher.began(check)
            watcher.ended(rules.applied(await _outcome(session, check, rules.timeout)))

    async with anyio.create_task_group() as tasks:
        for check in checks:
            tasks.start_soon(run, check)


async def _outcome(session: Session, check: Check, timeout: float) -> Outcome:
    endpoint = session.endpoint
    if known := deviations.reason(check.id, *endpoint.product):
        return Outcome(check, State.SKIPPED, 0, reason=known)
    begin = time.monotonic()
    subject = Subject(session)
    try:
        with anyio.fail_after(timeout):
            await check.run(subject)
    except Exception as error:  # noqa: BLE001  (whatever goes wrong in a check is its result)
        return _unsuccessful(check, time.monotonic() - begin, error, timeout)
    finally:
        with anyio.move_on_after(_CLEAN_UP_SECONDS, shield=True):
            await subject.clean_up()
    return Outcome(check, State.PASSED, time.monotonic() - begin)


def _unsuccessful(check: Check, seconds: float, error: Exception, timeout: float) -> Outcome:
    """What an exception means: the first of a group that says something."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, Failed):
            return Outcome(check, State.FAILED, seconds, leaf.expected, leaf.came)
    for leaf in leaves:
        if isinstance(leaf, Skipped):
            return Outcome(check, State.SKIPPED, seconds, reason=str(leaf))
        if isinstance(leaf, TimeoutError):
            return Outcome(check, State.FAILED, seconds, f"an end within {timeout:g} s", "none; it was given up")
    answered = _answered(leaves[0])
    if isinstance(answered, Unimplemented):
        return Outcome(check, State.SKIPPED, seconds, reason=f"the endpoint does not implement it: {answered}")
    if isinstance(answered, CriError):
        return Outcome(check, State.FAILED, seconds, "success", f"{answered.code.name}: {shown(str(answered))}")
    return Outcome(check, State.FAILED, seconds, "success", f"{type(answered).__name__}: {shown(str(answered))}")


def _answered(error: Exception) -> Exception:
    if isinstance(error, GRPCError):
        return from_status(error.status, error.message or error.status.name)
    if isinstance(error, StreamTerminatedError):
        return ConnectionError(f"the connection ended: {error}")
    return error


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
