"""Boots the guest, runs the steps in it, and says how they ended; once more for what wants SELinux in its kernel.

    python -m integration.guest                     all steps
    python -m integration.guest units apparmor      some of them
    python -m integration.guest --list

Reports (JUnit) and logs go to the directory that `--results` names. Where $CRITEST names a critest binary, its AppArmor
tests are steps, too; where there is buildah, a boot of the kind node image is one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from integration.guest import disks, kind, machine, work
from integration.harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOOT: float = 600.0  # seconds that the guest may take for all that isn't a step


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns 0 when all steps succeeded, 1 when one didn't, 2 when there is no guest."""
    critest = os.environ.get("CRITEST")
    slow = machine.accelerator() != machine.KVM
    offered = work.steps(slow=slow, critest=bool(critest), buildah=bool(shutil.which("buildah")))
    steps = {step.name: step for step in offered}
    parser = argparse.ArgumentParser(prog="integration.guest", description="tests in a machine of their own")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of: {', '.join(steps)} (default: all)")
    parser.add_argument("--list", action="store_true", help="print the steps with their commands")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where reports and logs go")
    options = parser.parse_args(arguments)
    if unknown := set(options.steps).difference(steps):
        parser.error(f"no step {', '.join(sorted(unknown))}: there are {', '.join(steps)}")
    chosen = [step for step in steps.values() if not options.steps or step.name in options.steps]
    if options.list:
        print("\n".join(f"{step.name:24} {' '.join(step.command)}" for step in chosen))
        return 0
    try:
        machine.require()
        code = 0
        for alone, security in dict.fromkeys((step.name == work.KIND_NODE, step.security) for step in chosen):
            # The node image is a machine of its own.
            those = [step for step in chosen if (step.name == work.KIND_NODE, step.security) == (alone, security)]
            results = options.results / work.KIND_NODE if options.results and alone else options.results
            with tempfile.TemporaryDirectory(prefix="cri-shim-guest-") as directory:
                code |= _run(those, Path(directory), results, Path(critest) if critest else None)
    except HarnessError as error:
        sys.stderr.write(f"guest: {error}\n")
        return 2
    return code


def _run(steps: Sequence[work.Step], directory: Path, results: Path | None, critest: Path | None) -> int:
    """Boot the kernel that all these steps want, wait, and show what came of it."""
    if steps[0].name == work.KIND_NODE:
        guest = machine.Machine(kind.boot(directory, steps), kind.COMMAND, directory, kind.WORDS)
    else:
        boot = disks.boot(disks.project(directory, json.dumps([step.to_json() for step in steps]), critest))
        guest = machine.Machine(boot, work.COMMAND, directory, security=steps[0].security)
    begin = time.monotonic()
    guest.run(_BOOT + sum(step.seconds for step in steps))
    seconds = time.monotonic() - begin
    outcomes = _outcomes(guest, results)
    for outcome in outcomes:
        print(f"{outcome.name:24} {'passed' if outcome.status == 0 else 'FAILED':8} {outcome.seconds:7.0f} s")
    print(f"{'with boot':33} {seconds:7.0f} s")
    return int(any(outcome.status for outcome in outcomes) or len(outcomes) != len(steps))


def _outcomes(guest: machine.Machine, results: Path | None) -> list[work.Outcome]:
    """What the guest left, unpacked into `results` if that is asked for."""
    try:
        with tarfile.open(guest.results) as archive:
            file = archive.extractfile(f"./{work.OUTCOMES}")
            assert file
            outcomes = [work.Outcome(**fields) for fields in json.load(file)]
            if results:
                archive.extractall(results, filter="data")
    except (tarfile.TarError, KeyError) as error:
        raise HarnessError(f"the guest left no results ({error}):\n{guest.console_end()}") from error
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
