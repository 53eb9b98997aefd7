"""The default AppArmor profile of containers: its text, and loading it where the kernel hasn't it.

What it denies is what containerd's and Docker's profile denies: mounting, writing the kernel's settings in /proc and
/sys (but for a process's own files, kernel.shm*, and cgroups), reading the memory and firmware, and tracing or
signalling processes that are not containers'. Source: apparmor.d(5), containerd `contrib/apparmor`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import Final

PROFILES: Final = "/sys/kernel/security/apparmor/profiles"
PARSER: Final = "/sbin/apparmor_parser"
_MACROS: Final = "/etc/apparmor.d"
_OWN_PROFILE: Final = "/proc/self/attr/current"
_SECONDS: Final = 30
_RUNTIMES: Final = ("runc", "crun")

_TEXT: Final = """\
{preamble}
profile {name} flags=(attach_disconnected,mediate_deleted) {{
{base}
  network,
  capability,
  file,
  umount,

  # Who may end a container's processes.
{signals}
  signal (send,receive) peer={name},
  ptrace (trace,tracedby,read,readby) peer={name},

  deny mount,

  # /proc: a process's own directory can be written, and of sys what is shared memory's.
  deny @{{PROC}}/* w,
  deny @{{PROC}}/{{[^1-9/],[^1-9/][^0-9/],[^1-9s/][^0-9y/][^0-9s/],[^1-9/][^0-9/][^0-9/][^0-9/]*}}/** w,
  deny @{{PROC}}/sys/[^k]** w,
  deny @{{PROC}}/sys/kernel/{{?,??,[^s][^h][^m]**}} w,
  deny @{{PROC}}/sysrq-trigger rwklx,
  deny @{{PROC}}/kcore rwklx,

  # /sys: cgroups can be written.
{sys}
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}}
"""


def is_loaded(name: str, profiles: str = PROFILES) -> bool:
    """Whether the kernel has the profile `name`. Raises OSError."""
    with open(profiles, encoding="utf-8", errors="surrogateescape") as file:
        return any(line.startswith(f"{name} (") for line in file)


def load(name: str, parser: str = PARSER) -> None:
    """Load the default profile as `name`. Blocks. Raises OSError with what the parser said."""
    with tempfile.NamedTemporaryFile("w", prefix=f"{name}.", encoding="utf-8") as file:
        file.write(profile_text(name))
        file.flush()
        try:
            # -K: no cache is written; -r: one of that name that appeared meanwhile is replaced
            done = subprocess.run(
                [parser, "-Kr", file.name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{parser} didn't load {name} in {_SECONDS} s") from error
    if done.returncode != 0:
        raise OSError(f"{parser} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")


def profile_text(name: str, macros: str = _MACROS) -> str:
    """The profile as `name`, with those of the distribution's macros that are there."""
    abi = "abi <abi/3.0>,\n" if _has(macros, "abi/3.0") else ""
    tunables = "#include <tunables/global>" if _has(macros, "tunables/global") else "@{PROC}=/proc/"
    return _TEXT.format(
        name=name,
        preamble=abi + tunables,
        base="  #include <abstractions/base>\n" if _has(macros, "abstractions/base") else "",
        signals="\n".join(f"  signal (receive) peer={peer}," for peer in dict.fromkeys(_peers())),
        sys="\n".join(f"  deny {path}/** wklx," for path in (*_all_but("/sys/", "fs"), *_all_but("/sys/fs/", "cgr"))),
    )


def _has(macros: str, name: str) -> bool:
    return os.path.exists(os.path.join(macros, name))


def _peers() -> tuple[str, ...]:
    """Unconfined processes, the runtimes where the distribution confines them, and ourselves."""
    return ("unconfined", *_RUNTIMES, _own_profile())


def _own_profile(path: str = _OWN_PROFILE) -> str:
    """The profile that we run under: the kernel's word is `NAME (MODE)`."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip("\0\n").partition(" ")[0] or "unconfined"
    except OSError:  # no AppArmor, or another security module answers here
        return "unconfined"


def _all_but(directory: str, start: str) -> list[str]:
    """Patterns of the entries of `directory` that don't begin with `start`."""
    return [f"{directory}{start[:place]}[^{letter}]*" for place, letter in enumerate(start)]
