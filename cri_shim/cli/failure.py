"""How a command ends that can't do what it was asked: its reason in plain words and an exit code, no traceback."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cri_shim.errors import CriError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Failure(click.ClickException):
    """Shown as `Error: <text>` on standard error; the process exits with 1."""


class Misconfigured(Failure):
    """The same for what an operator has to correct: the process exits with 2, as for a wrong option."""

    exit_code = 2


@contextmanager
def plainly(*expected: type[Exception]) -> Iterator[None]:
    """Turn our own errors, and the `expected` ones, into a `Failure`, those that task groups have wrapped, too.

    Anything else is a bug and keeps its traceback.
    """
    kinds: tuple[type[Exception], ...] = (CriError, *expected)
    try:
        yield
    except kinds as error:
        raise Failure(str(error)) from error
    except ExceptionGroup as group:
        matching, others = group.split(kinds)
        if matching is None or others is not None:
            raise
        raise Failure("\n".join(dict.fromkeys(map(str, leaves(matching))))) from group


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group, at whatever depth."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error
