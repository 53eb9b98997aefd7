"""What the guest's machine is told, and what is asked of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from integration.guest import machine, work
from integration.guest.disks import Boot, Disk
from integration.guest.machine import Machine
from integration.harness.patience import SLOWNESS
from integration.harness.this_machine import SWITCH

COMMAND_LINE = 2048  # COMMAND_LINE_SIZE of x86: what is longer is cut off
LABEL = 16  # bytes of an ext4 file system's


@pytest.fixture
def guest(tmp_path: Path) -> Machine:
    labels = ("root", "testing", "images", "python", "debian")
    disks = [Disk(label, tmp_path / label, f"/var/cache/cri-shim/{label}-{'0' * 16}") for label in labels]
    project = Disk("project", tmp_path / "project", work.SOURCE)
    boot = Boot(tmp_path / "kernel", tmp_path / "initrd", (*disks, project))
    return Machine(boot, work.COMMAND, tmp_path)


def test_all_disks_are_shown_and_mounted_and_none_is_written(guest: Machine) -> None:
    command = guest._command()
    drives = [word for word in command if word.startswith("file=") and "if=virtio" in word]
    assert len(drives) == 6
    assert all("snapshot=on" in drive for drive in drives)
    line = command[command.index("-append") + 1]
    assert "root=/dev/vda" in line
    for disk in guest.boot.disks[1:]:
        assert f"systemd.mount-extra=LABEL={disk.label}:{disk.target}:ext4:rw" in line
        assert len(disk.label) <= LABEL
    assert line.endswith(f'systemd.run="{work.COMMAND}"')
    assert len(line) < COMMAND_LINE


def test_the_kernel_has_apparmor_or_selinux_but_never_both(guest: Machine) -> None:
    lines = {one: replace(guest, security=one)._kernel_line().split() for one in (machine.APPARMOR, machine.SELINUX)}
    assert "apparmor=1" in lines[machine.APPARMOR]
    assert not any("selinux" in word for word in lines[machine.APPARMOR])
    assert {"security=selinux", "selinux=1", "enforcing=0"} < set(lines[machine.SELINUX])
    assert "apparmor=1" not in lines[machine.SELINUX]
    wanted = {step.security for step in work.steps(slow=False, critest=False, buildah=True)}
    assert wanted == set(lines)


def test_a_slow_machine_gets_more_time_and_both_endpoints_are_asked_the_same() -> None:
    steps = {step.name: step for step in work.steps(slow=True, critest=True, buildah=True)}
    assert all(step.environment[SLOWNESS] == "10" for step in steps.values())
    for name in ("cgroups", "machine", "critest", "selinux"):
        ours, peers = steps[f"{name}-shim"], steps[f"{name}-containerd"]
        assert [word.replace("containerd", "shim") for word in peers.command] == list(ours.command)
    assert SWITCH in steps["machine-shim"].environment
    assert SWITCH not in steps["cgroups-shim"].environment
    assert all(SLOWNESS not in step.environment for step in work.steps(slow=False, critest=False, buildah=True))


def test_steps_travel_as_json() -> None:
    for step in work.steps(slow=True, critest=True, buildah=True):
        assert work.Step.from_json(json.loads(json.dumps(step.to_json()))) == step


def test_every_test_that_a_step_names_is_there() -> None:
    project = Path(machine.__file__).parents[2]
    for step in work.steps(slow=False, critest=False, buildah=False):
        named = [word.partition("::") for word in step.command if word.startswith("integration/")]
        assert named
        for path, _, function in named:
            assert (project / path).exists(), path
            assert not function or f"def {function}(" in (project / path).read_text(), function
