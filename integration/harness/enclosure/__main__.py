"""The guardian: `python -m integration.harness.enclosure`, started by `integration.harness.node`.

Reads a plan from the first line of standard input, and keeps the rest of it as the lifeline. Answers on standard
output: `pid N`, the node's first process, then `groups [...]`, its cgroups, then `ready`; or `error TEXT`.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from cri_shim.linux import syscalls
from integration.harness.enclosure import first_process, groups
from integration.harness.enclosure.plan import loads

if TYPE_CHECKING:
    from collections.abc import Callable

    from integration.harness.enclosure.plan import Plan

_CLONE_NEWCGROUP: Final = 0x2000000
_CLONE_NEWUTS: Final = 0x4000000
_CLONE_NEWIPC: Final = 0x8000000
_CLONE_NEWPID: Final = 0x20000000
_NAMESPACES: Final = _CLONE_NEWCGROUP | _CLONE_NEWUTS | _CLONE_NEWIPC | _CLONE_NEWPID | syscalls.CLONE_NEWNS
_PR_SET_PDEATHSIG: Final = 1
_LIFELINE: Final = 0
_FAILED: Final = 1


def main() -> int:
    """Keep the node from its making to its end."""
    plan = loads(_first_line())
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the lifeline says when it is over
    held = os.open(plan.scratch, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)  # whoever finds a scratch directory unlocked may remove it
    lent: list[str] = []
    try:
        lent = groups.make(plan)
        namespaced = os.fork()
        if not namespaced:
            _in_child(lambda: _namespaces(plan))
        os.waitpid(namespaced, 0)
    except OSError as error:
        _say(f"error {error.strerror} ({error.filename})")
        return _FAILED
    finally:
        groups.remove(plan, lent)
        shutil.rmtree(plan.scratch)
    return 0


def _namespaces(plan: Plan) -> None:
    """In the cgroups that are to be the roots of what the node sees, make the namespaces, then the first process."""
    _die_with_parent()
    groups.join(plan)
    syscalls.unshare(_NAMESPACES | (syscalls.CLONE_NEWNET if plan.own_network else 0))
    joined = groups.settle(plan)
    first = os.fork()  # a new pid namespace is for children only
    if not first:
        _in_child(lambda: _first(plan))
    _say(f"pid {first}")
    _say(f"groups {json.dumps(joined)}")
    os.close(sys.stdout.fileno())
    os.waitpid(first, 0)


def _first(plan: Plan) -> None:
    _die_with_parent()
    first_process.set_up(plan)
    _say("ready")
    nowhere = os.open("/dev/null", os.O_RDWR)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    first_process.reap_until_closed(_LIFELINE)


def _in_child(work: Callable[[], None]) -> NoReturn:
    """Do `work` in a forked process, which ends here; what goes wrong is said to the harness."""
    code = _FAILED
    try:
        work()
        code = 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _say(f"error {error.strerror}{where}")
    except BaseException as error:  # noqa: BLE001  (a process boundary: the harness raises it)
        _say(f"error {type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _first_line() -> str:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(_LIFELINE, 1)
        if not byte:
            raise SystemExit("this is the harness's own: see integration/harness/node.py")
        line += byte
    return line.decode()


def _say(text: str) -> None:
    os.write(sys.stdout.fileno(), text.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
