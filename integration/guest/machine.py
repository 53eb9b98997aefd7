"""The guest's machine: qemu, with the processor's own virtualization where it is there, else in software.

Its console goes to a file. Two virtio-serial ports lead out of it: `output` to our standard output, as it is written,
and `results` to a file that is a tar archive in the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from integration.harness.errors import HarnessError

if TYPE_CHECKING:
    from pathlib import Path

    from integration.guest.disks import Boot

QEMU: Final = "qemu-system-x86_64"
OUTPUT: Final = "output"
RESULTS: Final = "results"

_CPUS: Final = 2
_MEMORY: Final = 3072  # MiB
_HUGE_PAGES: Final = 16  # of 2 MiB
_KVM_DEVICE: Final = "/dev/kvm"
KVM: Final = "kvm"
_TCG: Final = "tcg,thread=multi"
# What a processor in software can do besides is more work for it, not less.
_CPU: Final = {KVM: "host", _TCG: "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+rdrand"}
# A kernel has one of the two.
APPARMOR: Final = "apparmor"
SELINUX: Final = "selinux"
_SECURITY: Final = {
    APPARMOR: ("apparmor=1",),
    # What a permissive policy would have refused is not told, thousands of times.
    SELINUX: ("security=selinux", "selinux=1", "enforcing=0", "audit=0"),
}
_KERNEL: Final = (
    "console=ttyS0",
    "root=/dev/vda",
    "rw",
    "loglevel=4",
    "systemd.show_status=auto",
    "systemd.firstboot=no",  # it would ask on the console
    "transparent_hugepage=never",
    "mitigations=off",
    "psi=1",
    f"hugepages={_HUGE_PAGES}",
    "modules-load=overlay,br_netfilter",
    "systemd.mask=apparmor.service",  # its set of profiles is empty
    "systemd.run_success_action=poweroff",
    "systemd.run_failure_action=poweroff",
)


@dataclass(frozen=True)
class Machine:
    """A machine to be, with `security` in its kernel; `directory` is where its console log and its results go.

    `words` are more for its kernel.
    """

    boot: Boot
    command: str
    directory: Path
    words: tuple[str, ...] = ()
    security: str = APPARMOR

    @property
    def console(self) -> Path:
        """What kernel and systemd said."""
        return self.directory / "console.log"

    @property
    def results(self) -> Path:
        """The archive that the guest left."""
        return self.directory / "results.tar"

    def run(self, seconds: float) -> None:
        """Boot it, and wait until it is off. Raises `HarnessError` when it isn't after so many `seconds`."""
        process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"the guest was not done in {seconds:.0f} s:\n{self.console_end()}") from None
        finally:
            process.kill()
            process.wait()
        if code:
            raise HarnessError(f"{QEMU} ended with {code}, see above")

    def console_end(self, size: int = 3000) -> str:
        """The end of the console's log."""
        return self.console.read_text(errors="replace")[-size:] if self.console.exists() else ""

    def _command(self) -> list[str]:
        drives = [f"file={disk.image},if=virtio,format=raw,snapshot=on" for disk in self.boot.disks]
        return [
            QEMU,
            *("-machine", "q35", "-accel", accelerator(), "-cpu", _CPU[accelerator()]),
            *("-smp", str(_CPUS), "-m", str(_MEMORY)),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-kernel", str(self.boot.kernel), "-initrd", str(self.boot.initrd), "-append", self._kernel_line()),
            *("-serial", f"file:{self.console}", "-device", "virtio-serial"),
            *(word for drive in drives for word in ("-drive", drive)),
            *_port(OUTPUT, "file", "path=/dev/stdout", "append=on"),  # `stdio` would be closed with our input
            *_port(RESULTS, "file", f"path={self.results}"),
        ]

    def _kernel_line(self) -> str:
        mounts = [f"systemd.mount-extra=LABEL={disk.label}:{disk.target}:ext4:rw" for disk in self.boot.disks[1:]]
        return " ".join([*_KERNEL, *_SECURITY[self.security], *self.words, *mounts, f'systemd.run="{self.command}"'])


def require() -> None:
    """Raise `HarnessError` when there is no qemu on this machine."""
    if not shutil.which(QEMU):
        raise HarnessError(f"no {QEMU}", remedy="sudo apt-get install qemu-system-x86")


def accelerator() -> str:
    """`kvm` where the processor virtualizes, else `tcg`: qemu's own, ten to twenty times slower."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = set(next((line for line in file if line.startswith("flags")), "").split())
    virtualizes = flags & {"vmx", "svm"} and os.access(_KVM_DEVICE, os.R_OK | os.W_OK)
    return KVM if virtualizes else _TCG


def _port(name: str, backend: str, *options: str) -> tuple[str, ...]:
    """A port of the guest's, `/dev/virtio-ports/NAME`, and where it leads to."""
    chardev = ",".join([backend, f"id={name}", *options])
    return "-chardev", chardev, "-device", f"virtserialport,chardev={name},name={name}"
