"""The program that runs in the guest: makes the machine ready for nodes, then runs the steps one after the other.

    python -m integration.guest.inside          as the kernel's command line has it
    python -m integration.guest.inside --bare   nothing is made ready

The steps are in `steps.json` beside the project. What they say goes to the port `output`; the files that they leave in
`RESULTS`, and `outcomes.json`, go to the port `results` in a tar archive.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from integration.guest.disks import BYTECODE, CACHE
from integration.guest.machine import OUTPUT
from integration.guest.machine import RESULTS as RESULTS_PORT
from integration.guest.work import OUTCOMES, RESULTS, SOURCE, STEPS, Outcome, Step

_BARE: Final = "--bare"
_SWAP: Final = "/swap"
_SWAP_SIZE: Final = 256 << 20
_UDEV: Final = ("systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket")
_GRACE: Final = 30  # seconds for a step that was told to end


def main() -> None:
    """Run it all."""
    subprocess.run(["modprobe", "virtio_console"], check=True)  # by hand where no udev does it
    output = os.open(_port(OUTPUT), os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(SOURCE)
    os.environ |= {"HOME": "/root", "LANG": "C.UTF-8"}
    if _BARE not in sys.argv:
        _prepare()
    Path(RESULTS).mkdir(parents=True)
    steps = [Step.from_json(one) for one in json.loads(Path(SOURCE, STEPS).read_text())]
    outcomes = [_run(step) for step in steps]
    Path(RESULTS, OUTCOMES).write_text(json.dumps([outcome.to_json() for outcome in outcomes]))
    subprocess.run(["tar", "-C", RESULTS, "-cf", _port(RESULTS_PORT), "."], check=True)
    os.sync()


def _port(name: str) -> str:
    """The device of a port; links to them by name are udev's."""
    for port in Path("/sys/class/virtio-ports").iterdir():
        if (port / "name").read_text().strip() == name:
            return f"/dev/{port.name}"
    raise FileNotFoundError(f"no port {name} in /sys/class/virtio-ports")


def _prepare() -> None:
    """Make the machine ready for nodes."""
    bytecode = f"{SOURCE}/{BYTECODE}"
    os.environ |= {"CRI_SHIM_CACHE": CACHE, "PYTHONPYCACHEPREFIX": bytecode}
    os.symlink(bytecode, f"{CACHE}/{BYTECODE}")  # nodes find it where theirs is
    _swap_on()
    # What systemd would start or end in the middle of a test.
    subprocess.run(["systemctl", "start", "dbus.service"], check=True)
    subprocess.run(["udevadm", "settle"], check=True)
    subprocess.run(["systemctl", "stop", *_UDEV], check=True)


def _run(step: Step) -> Outcome:
    print(f"\n== {step.name}", flush=True)
    begin = time.monotonic()
    process = subprocess.Popen(step.command, env=os.environ | dict(step.environment))
    try:
        status = process.wait(step.seconds)
    except subprocess.TimeoutExpired:
        print(f"not done in {step.seconds:.0f} s", flush=True)
        process.terminate()
        try:
            status = process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        status = status or 1
    return Outcome(step.name, status, time.monotonic() - begin)


def _swap_on() -> None:
    """Swap, without which the kernel has no limits of it."""
    with open(_SWAP, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        os.posix_fallocate(file.fileno(), 0, _SWAP_SIZE)
    for command in (["mkswap", "--quiet", _SWAP], ["swapon", _SWAP]):
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
