"""The failures that cri-shim speaks of: a closed set of kinds, one for one with gRPC's status codes.

An error is raised where the fact is known, with a text that says what was wrong, with which value, and what to do;
it is turned into a gRPC status in one place (`cri_shim.server.instrumented`) and made from one in one place
(`cri_shim.containerd.channel`). This module imports nothing of ours.

The kinds and their codes are those of containerd's `errdefs` package and of its mapping to gRPC; containerd's
`ErrConflict` is also FailedPrecondition there.
"""

from __future__ import annotations

from typing import ClassVar

from grpclib.const import Status


class CriError(Exception):
    """A failure with a gRPC status code; a plain one is Unknown, as with an unclassified error in containerd.

    `str(error)` is the text that the caller of the RPC reads.
    """

    code: ClassVar[Status] = Status.UNKNOWN

    def because(self, text: str) -> CriError:
        """The same kind of failure, its text preceded by what was being done: `text: <this text>`."""
        kind = type(self)
        error = kind.__new__(kind)  # with what it knows beside its text, which its constructor may ask for
        error.__dict__.update(self.__dict__)
        error.args = (f"{text}: {self}",)
        return error


class Unknown(CriError):
    """A failure nobody has classified; containerd's CRI plugin answers so for most violations of state."""


class Canceled(CriError):
    """The caller gave up, or what the call depended on was ended."""

    code = Status.CANCELLED


class InvalidArgument(CriError):
    """The request can't be right, whatever the state of the node."""

    code = Status.INVALID_ARGUMENT


class DeadlineExceeded(CriError):
    """The time given was not enough; what was begun has been undone or goes on by itself, as the text says."""

    code = Status.DEADLINE_EXCEEDED


class NotFound(CriError):
    """The object named does not exist."""

    code = Status.NOT_FOUND


class AlreadyExists(CriError):
    """An object of that name or id exists already."""

    code = Status.ALREADY_EXISTS


class PermissionDenied(CriError):
    """The caller may not do this."""

    code = Status.PERMISSION_DENIED


class ResourceExhausted(CriError):
    """A limit is reached: a size, a count, the disk."""

    code = Status.RESOURCE_EXHAUSTED


class FailedPrecondition(CriError):
    """The object, or the node, is not in a state in which this can be done."""

    code = Status.FAILED_PRECONDITION


class Aborted(CriError):
    """The call collided with another one and was given up; it can be tried again from its start."""

    code = Status.ABORTED


class OutOfRange(CriError):
    """A position beyond the end."""

    code = Status.OUT_OF_RANGE


class Unimplemented(CriError):
    """The call, or what it asks for, is not to be had from this runtime."""

    code = Status.UNIMPLEMENTED


class Internal(CriError):
    """A promise of ours is broken: always a bug, here or beneath us."""

    code = Status.INTERNAL


class Unavailable(CriError):
    """Not now: not recovered yet, or containerd can't be reached; the same call may succeed later."""

    code = Status.UNAVAILABLE


class DataLoss(CriError):
    """Stored data is damaged and can't be recovered."""

    code = Status.DATA_LOSS


class Unauthenticated(CriError):
    """The credentials are missing or wrong."""

    code = Status.UNAUTHENTICATED


def _by_code() -> dict[Status, type[CriError]]:
    kinds: list[type[CriError]] = [CriError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return {kind.code: kind for kind in kinds if kind is not CriError}


BY_CODE = _by_code()


def from_status(code: Status, message: str) -> CriError:
    """The error of the kind that `code` stands for, with `message` as its text."""
    return BY_CODE.get(code, Unknown)(message)
