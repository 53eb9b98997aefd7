"""The files that most images start from: busybox, every applet a file of its own, since tests mask single ones."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from integration.harness.errors import HarnessError
from integration.images.content import File, Layer, text

_PASSWD: Final = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP: Final = """root:x:0:
daemon:x:1:
www-data:x:33:
users:x:100:
nogroup:x:65534:
"""
_OS_RELEASE: Final = 'NAME="CRI test image"\nID=testimage\nVERSION_ID=1\n'
_DIRECTORIES: Final = (
    "bin dev etc home lib proc root run sys usr usr/bin usr/sbin var var/run var/www var/log".split()  # noqa: SIM905
)


@dataclass
class Busybox:
    """Root file systems from the busybox of a Debian tree, `root`, and `program`, the binary of programs.c.

    Debian's busybox-static won't do: its shell prefers its own applets to the files on disk, and a test that masks
    /bin/ls and runs `sh -c ls` would fail.
    """

    root: Path
    program: bytes
    applets: list[str] = field(init=False)
    libraries: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.applets = [name for name in self._output("busybox", "--list") if name != "busybox"]
        self.libraries = sorted(word for word in self._output("ldd", "/bin/busybox") if word.startswith("/"))
        probe = self._run("env", "PATH=/nonexistent", "/bin/busybox", "sh", "-c", "true && ls /")
        if probe.returncode == 0:
            raise HarnessError(f"the busybox in {self.root} has a shell that ignores the files of an image")

    def layer(self, users: str = "", groups: str = "", *, symlinks: bool = False) -> Layer:
        """The files, `users` and `groups` added to its accounts, the applets hard links or symbolic ones."""
        return (
            *(File(path) for path in self._directories()),
            File("tmp", mode=0o1777),
            *(self._copy(library) for library in self.libraries),
            self._copy("/bin/busybox"),
            *(self._applet(name, symlink=symlinks) for name in self.applets),
            File("bin/pgrep", self.program),
            *(File(f"bin/{name}", link="bin/pgrep") for name in ("ipcs", "pause", "flood", "stress")),
            text("etc/passwd", _PASSWD + users),
            text("etc/group", _GROUP + groups),
            text("etc/os-release", _OS_RELEASE),
            text("etc/hostname", "image\n"),
        )

    def _directories(self) -> list[str]:
        parents = {str(parent).lstrip("/") for library in self.libraries for parent in Path(library).parents}
        return [*_DIRECTORIES, *sorted(parents - {"", *_DIRECTORIES})]

    def _copy(self, path: str) -> File:
        # /bin and /lib are links to below /usr in Debian, and directories in the image.
        return File(path.lstrip("/"), (self.root / path.lstrip("/")).read_bytes())

    def _applet(self, name: str, *, symlink: bool) -> File:
        return File(f"bin/{name}", symlink="/bin/busybox") if symlink else File(f"bin/{name}", link="bin/busybox")

    def _output(self, *command: str) -> list[str]:
        done = self._run(*command)
        if done.returncode:
            raise HarnessError(f"{' '.join(command)} ended with {done.returncode} in {self.root}: {done.stderr}")
        return done.stdout.split()

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"}
        chroot = ["chroot", os.fspath(self.root), *command]
        return subprocess.run(chroot, capture_output=True, text=True, env=environment, check=False)
