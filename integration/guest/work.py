"""What is run in the guest, a step after the other, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from integration.guest.machine import APPARMOR, SELINUX
from integration.harness.patience import SLOWNESS
from integration.harness.rootfs import PYTHON
from integration.harness.this_machine import SWITCH, VALUE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SOURCE: Final = "/usr/src/cri-shim"  # the project, in the guest
STEPS: Final = "steps.json"
RESULTS: Final = "/var/lib/cri-shim-guest"
OUTCOMES: Final = "outcomes.json"
CRITEST: Final = "critest"
KIND_NODE: Final = "kind-node"  # a step in a machine of its own


# As the kernel's command line has it: what doesn't need quotes.
COMMAND: Final = f"/usr/bin/env PYTHONPATH={SOURCE} {PYTHON}/bin/python -m integration.guest.inside"
_SLOWNESS: Final = 10
_LONGEST: Final = 900.0  # seconds
_DIFFERENTIAL: Final = "resources or security"
_PYTEST: Final = (
    f"{PYTHON}/bin/python",
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "--timeout",
    "60",
    "--durations",
    "10",
)
# What hangs on version 2 of cgroups; of modules that don't as a whole, by name.
_CGROUPS: Final = (
    "integration/test_cgroup_v2.py",
    "integration/test_resources.py",
    "integration/test_stats.py::test_each_load_moves_what_it_should_and_nothing_else",
    "integration/test_effects.py::test_capabilities_are_the_defaults_with_what_is_added_and_without_what_is_dropped",
    "integration/test_effects.py::test_a_privileged_container_may_all_that_the_node_may",
    "integration/test_exec_sync.py::test_past_its_timeout_a_command_is_killed_with_all_that_it_started",
    "integration/test_lifecycle.py::test_exit_codes_reasons_and_times",
    "integration/test_lifecycle.py::test_a_paused_container_is_thawed_and_stopped",
)
# What hangs on the machine being the node: systemd, AppArmor.
_MACHINE: Final = (
    "integration/test_apparmor.py",
    "integration/test_systemd_cgroups.py",
    "integration/test_cgroup_v2.py",
)


@dataclass(frozen=True)
class Step:
    """A command, with additions to its environment, the `seconds` that it may take, and the kernel's `security`."""

    name: str
    command: tuple[str, ...]
    seconds: float
    environment: Mapping[str, str]
    security: str = APPARMOR

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        return cls(**fields | {"command": tuple(fields["command"])})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """How a step ended: its exit status, and the seconds that it took."""

    name: str
    status: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def steps(*, slow: bool, critest: bool, buildah: bool) -> Iterator[Step]:
    """All of them; on a `slow` machine, whose processor is software, they may take longer. `critest` is on the disk.

    With `buildah` on this machine the kind node image can be built, and is a machine of its own.
    """
    stretched = {SLOWNESS: str(_SLOWNESS)} if slow else {}
    for endpoint in ("shim", "containerd"):
        yield _tests(f"cgroups-{endpoint}", _CGROUPS, stretched, endpoint)
        yield _tests(f"machine-{endpoint}", _MACHINE, {**stretched, SWITCH: VALUE}, endpoint)
        if critest:
            yield _critest(stretched, endpoint)
    yield _tests("differential", ("integration/differential", "-k", _DIFFERENTIAL), stretched)
    yield _tests("units", ("integration/test_units.py",), {**stretched, SWITCH: VALUE})
    for endpoint in ("shim", "containerd"):
        step = _tests(f"selinux-{endpoint}", ("integration/test_selinux.py",), {**stretched, SWITCH: VALUE}, endpoint)
        yield replace(step, security=SELINUX)
    if buildah:
        check = (f"{PYTHON}/bin/python3", "-m", "integration.kind_node.booted")
        yield Step(KIND_NODE, check, _LONGEST, stretched)


def _critest(environment: Mapping[str, str], endpoint: str) -> Step:
    """Kubernetes' own tests of AppArmor, which skip themselves where there is none."""
    options = ("--endpoint", endpoint, "--report", f"{RESULTS}/critest-{endpoint}", "-ginkgo.focus=AppArmor")
    command = (f"{PYTHON}/bin/python", "-m", "integration.critest", f"{SOURCE}/{CRITEST}", *options)
    return Step(f"critest-{endpoint}", command, _LONGEST, {**environment, SWITCH: VALUE})


def _tests(name: str, selection: tuple[str, ...], environment: Mapping[str, str], endpoint: str = "shim") -> Step:
    report = f"--junit-xml={RESULTS}/{name}.xml"
    return Step(name, (*_PYTEST, report, "--endpoint", endpoint, *selection), _LONGEST, environment)
