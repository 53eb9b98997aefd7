"""All checks, in the order in which they are listed and run, and the choice of some."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from cri_shim.smoke.checks.containers import containers
from cri_shim.smoke.checks.events import events
from cri_shim.smoke.checks.exec_sync import exec_sync
from cri_shim.smoke.checks.images import images
from cri_shim.smoke.checks.lists import lists
from cri_shim.smoke.checks.logs import logs
from cri_shim.smoke.checks.mounts import mounts
from cri_shim.smoke.checks.namespaces import namespaces
from cri_shim.smoke.checks.network import network
from cri_shim.smoke.checks.pods import pods
from cri_shim.smoke.checks.port_forward import port_forward
from cri_shim.smoke.checks.processes import processes
from cri_shim.smoke.checks.resources import resources
from cri_shim.smoke.checks.runtime import runtime
from cri_shim.smoke.checks.security import security
from cri_shim.smoke.checks.stats import stats
from cri_shim.smoke.checks.streams import streams
from cri_shim.smoke.checks.sysctls import sysctls
from cri_shim.smoke.checks.users import users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.smoke.check import Check

CAPABILITIES: Final = (
    runtime,
    images,
    pods,
    network,
    containers,
    processes,
    exec_sync,
    logs,
    streams,
    port_forward,
    stats,
    events,
    users,
    security,
    mounts,
    resources,
    namespaces,
    sysctls,
    lists,
)
CHECKS: Final[tuple[Check, ...]] = tuple(check for capability in CAPABILITIES for check in capability.checks)


def chosen(only: Sequence[str], skip: Sequence[str]) -> tuple[Check, ...]:
    """The checks whose id one of `only` matches, or all where there is none, without those that `skip` matches.

    A pattern is as a shell's; the name of a capability stands for all of its checks.
    """
    return tuple(check for check in CHECKS if (not only or matches(check.id, only)) and not matches(check.id, skip))


def matches(check_id: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns matches the id."""
    return any(fnmatchcase(check_id, each) or check_id.startswith(f"{each}.") for each in patterns)


def unmatched(patterns: Sequence[str]) -> list[str]:
    """Those of the patterns that match no check: they are misspelt."""
    return [pattern for pattern in patterns if not any(matches(check.id, [pattern]) for check in CHECKS)]


def listed(checks: Sequence[Check]) -> str:
    """Ids and sentences, a line for each check."""
    width = max((len(check.id) for check in checks), default=0)
    return "\n".join(f"{check.id:<{width}}  {check.sentence}" for check in checks)
