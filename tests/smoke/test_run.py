"""What comes of checks that pass, fail, are skipped, hang or break, without an endpoint."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import pytest
from grpclib import GRPCError
from grpclib.const import Status
from rich.console import Console

from cri_shim.errors import InvalidArgument, NotFound
from cri_shim.smoke import expect
from cri_shim.smoke.check import Capability, Check, Failed, Outcome, Skipped, State
from cri_shim.smoke.report.progress import Watcher
from cri_shim.smoke.run import Rules, run_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cri_shim.smoke.session import Session

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def session() -> Session:
    endpoint = SimpleNamespace(runtime=None, images=None, product=("containerd", "2.1.0"))
    return cast("Session", SimpleNamespace(endpoint=endpoint, image="image"))


async def outcome(function: Callable[[Any], Awaitable[None]], **rules: Any) -> Outcome:
    watcher = Watcher(Console(file=io.StringIO()), 1)
    await run_all(session(), [Check("x.y", "x", "A promise.", function)], Rules(**rules), watcher)
    (found,) = watcher.outcomes
    return found


def raising(error: Exception) -> Callable[[Any], Awaitable[None]]:
    async def check(_: object) -> None:
        raise error

    return check


async def test_a_check_that_ends_has_passed() -> None:
    async def check(_: object) -> None:
        await anyio.lowlevel.checkpoint()

    assert (await outcome(check)).state is State.PASSED


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (Failed("this", "that"), State.FAILED, "expected this; came that"),
        (Skipped("no such thing here"), State.SKIPPED, "no such thing here"),
        (GRPCError(Status.UNIMPLEMENTED, "no"), State.SKIPPED, "the endpoint does not implement it: no"),
        (GRPCError(Status.NOT_FOUND, "gone"), State.FAILED, "expected success; came NOT_FOUND: gone"),
        (ValueError("odd"), State.FAILED, "expected success; came ValueError: odd"),
        (ExceptionGroup("g", [ValueError("a"), Failed("this", "that")]), State.FAILED, "expected this; came that"),
        (ExceptionGroup("g", [ExceptionGroup("h", [Skipped("why")])]), State.SKIPPED, "why"),
    ],
)
async def test_what_a_check_raises_is_its_outcome(error: Exception, state: State, text: str) -> None:
    found = await outcome(raising(error))
    assert (found.state, found.text) == (state, text)


async def test_a_check_that_hangs_is_given_up() -> None:
    async def check(_: object) -> None:
        await anyio.sleep_forever()

    found = await outcome(check, timeout=0.05)
    assert (found.state, found.expected) == (State.FAILED, "an end within 0.05 s")


async def test_a_required_check_fails_when_it_is_skipped() -> None:
    check = raising(Skipped("not here"))
    assert (await outcome(check, required=("x.*",))).text == "expected it to pass (--require); came skipped: not here"
    assert (await outcome(check, required=("x",))).state is State.FAILED
    assert (await outcome(check, required=("z.*",))).state is State.SKIPPED


async def test_no_more_checks_run_at_once_than_wanted() -> None:
    running, most = 0, 0

    async def check(_: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.01)
        running -= 1

    checks = [Check(f"x.{number}", "x", "A promise.", check) for number in range(9)]
    watcher = Watcher(Console(file=io.StringIO()), 9)
    await run_all(session(), checks, Rules(parallel=3), watcher)
    assert (most, len(watcher.outcomes)) == (3, 9)


def test_a_function_becomes_a_check_by_its_name_and_docstring() -> None:
    capability = Capability("things")

    @capability.check
    async def a_thing_is_one(_: object) -> None:
        """A thing is one thing."""

    (found,) = capability.checks
    assert (found.id, found.sentence) == ("things.a-thing-is-one", "A thing is one thing.")


async def answering(error: GRPCError | None) -> str:
    if error:
        raise error
    return "an answer"


async def test_a_refusal_is_of_the_kind_that_is_expected() -> None:
    gone = GRPCError(Status.NOT_FOUND, "gone")
    assert str(await expect.refused(answering(gone), "x", NotFound)) == "gone"
    assert str(await expect.refused(answering(gone), "x")) == "gone"
    with pytest.raises(Failed, match="expected INVALID_ARGUMENT for x; came NOT_FOUND: gone"):
        await expect.refused(answering(gone), "x", InvalidArgument)
    with pytest.raises(Failed, match="expected NOT_FOUND for x; came success: an answer"):
        await expect.refused(answering(None), "x", NotFound)
    with pytest.raises(GRPCError):
        await expect.refused(answering(GRPCError(Status.UNIMPLEMENTED, "no")), "x")


async def test_what_does_not_come_is_told_with_what_came_instead() -> None:
    async def never() -> None:
        return None

    with pytest.raises(Failed, match=r"expected a thing within 0\.05 s; came another"):
        await expect.eventually(never, "a thing", 0.05, lambda: "another")
