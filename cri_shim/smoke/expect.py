"""What checks expect, said so that a failure tells what was expected and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import anyio
from grpclib.exceptions import GRPCError

from cri_shim.errors import CriError, Unimplemented, from_status
from cri_shim.smoke.check import Failed, Skipped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_POLL: Final = 0.03
_SHOWN: Final = 400  # characters of a value


def shown(value: object) -> str:
    """A value as a report has it: cut where it gets long."""
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def equal(what: str, expected: object, came: object) -> None:
    """Raise Failed unless `came` is `expected`."""
    if came != expected:
        raise Failed(f"{what} {shown(expected)}", shown(came))


def that(holds: object, expected: str, came: object) -> None:
    """Raise Failed with `came` unless `holds`."""
    if not holds:
        raise Failed(expected, shown(came))


def present(value: T | None, what: str) -> T:
    """`value`, which an answer must have. Raises Failed when it has none."""
    if value is None:
        raise Failed(f"an answer with {what}", "one without")
    return value


async def refused(call: Awaitable[object], what: str, *kinds: type[CriError]) -> CriError:
    """The error that `call` is answered with, one of `kinds` if there are any. Raises Failed for anything else."""
    names = " or ".join(kind.code.name for kind in kinds) or "an error"
    try:
        answer = await call
    except GRPCError as error:
        came = from_status(error.status, error.message or "")
        if isinstance(came, Unimplemented) and Unimplemented not in kinds:
            raise
        if kinds and not isinstance(came, kinds):
            raise Failed(f"{names} for {what}", f"{error.status.name}: {shown(error.message or '')}") from error
        return came
    raise Failed(f"{names} for {what}", f"success: {shown(answer)}")


async def eventually(
    probe: Callable[[], Awaitable[T | None]], expected: str, seconds: float = 10, came: Callable[[], object] = str
) -> T:
    """The first result of `probe` that is not None. Raises Failed, with what `came` says, after `seconds`."""
    with anyio.move_on_after(seconds):
        while (result := await probe()) is None:  # noqa: ASYNC110  (nothing tells us)
            await anyio.sleep(_POLL)
        return result
    raise Failed(f"{expected} within {seconds:g} s", shown(came()) if came is not str else "nothing of the kind")


def skip_unless(condition: object, reason: str) -> None:
    """Raise Skipped for `reason` unless the condition holds."""
    if not condition:
        raise Skipped(reason)
