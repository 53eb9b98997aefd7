"""The programs of the image: this machine's own, each with all the files it needs to run in an empty root.

A static program needs none. For others their own loader is asked, which glibc's and musl's answer alike (`--list`); so
this works where a distribution has its files elsewhere, too. A server for TCP ports (`nc`, as busybox has it) is a few
lines of Python run by a copy of our own interpreter, the only program that is sure to be here and can listen.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from cri_shim.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REQUIRED: Final = ("sh", "cat", "sleep")
OPTIONAL: Final = ("mkdir", "readlink", "stty", "mount", "umount")
_SEARCHED: Final = "/bin:/usr/bin:/sbin:/usr/sbin:/run/current-system/sw/bin"
_SECONDS: Final = 20.0
_LISTED: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+)(?: \(0x[0-9a-f]+\))?$", re.MULTILINE)
_SHEBANG: Final = 256  # BINPRM_BUF_SIZE of the kernel
_HEAD: Final = 64
_LITTLE_ENDIAN: Final = 1  # e_ident[EI_DATA]
_PT_INTERP: Final = 3
_MAIN_HEADER: Final = {1: ("<28xI12xHH", "<4xI8xI"), 2: ("<32xQ14xHH", "<8xQ16xQ")}  # by e_ident[EI_CLASS]; elf(5)

NC: Final = """\
import os, socket, sys
arguments = sys.argv[1:]
if "-l" in arguments:
    port = int(arguments[arguments.index("-p") + 1])
    both = socket.has_dualstack_ipv6()
    server = socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    connection = server.accept()[0]
    server.close()
else:
    connection = socket.socket(socket.AF_INET6 if ":" in arguments[0] else socket.AF_INET)
    connection.connect((arguments[0], int(arguments[1])))
if "-e" in arguments:
    for fd in (0, 1):
        os.dup2(connection.fileno(), fd)
    program = arguments[arguments.index("-e") + 1:]
    os.execv("/bin/" + program[0], program)
if not os.fork():
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    os._exit(0)
while data := connection.recv(65536):
    os.write(1, data)
"""
_PROBE: Final = (
    "import json, os, socket, sys; "
    "print(json.dumps([path for module in list(sys.modules.values())"
    " for path in (getattr(module, '__file__', None), getattr(module, '__cached__', None)) if path]))"
)


def found(names: Iterable[str] = REQUIRED + OPTIONAL) -> dict[str, str]:
    """Where each of the programs is here. Raises FailedPrecondition when a required one is missing."""
    paths = {name: path for name in names if (path := shutil.which(name, path=_SEARCHED))}
    if missing := sorted({*REQUIRED} - paths.keys()):
        raise FailedPrecondition(
            f"no {', '.join(missing)} in {_SEARCHED}: no image can be made of this machine's programs; "
            "name one that has a shell with --image"
        )
    return paths


def needed(path: str) -> set[str]:
    """The files beside `path` itself that it takes to run: its loader and libraries, the interpreter of a script.

    Raises FailedPrecondition when that can't be found out.
    """
    with open(path, "rb") as file:
        line = file.readline(_SHEBANG)
        if line.startswith(b"#!"):
            interpreter = line[2:].split()[0].decode()
            return {interpreter} | needed(interpreter)
        loader = loader_of(file)
    return {loader, *_libraries(loader, path)} if loader else set()


def interpreter() -> tuple[str, set[str]] | None:
    """Our own Python, and the files that it takes to run `NC`; None where it can't be copied."""
    python = os.path.realpath(sys.executable)
    try:
        done = subprocess.run(
            [python, "-IS", "-c", _PROBE], capture_output=True, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
        modules = [path for path in json.loads(done.stdout) if os.path.isfile(path)]
        files = {python, *modules, *needed(python)}
        with open(python, "rb") as file:
            loader = loader_of(file)
        for module in (path for path in modules if loader and path.endswith(".so")):
            files |= {*_libraries(loader, module)}
    except (OSError, ValueError, subprocess.SubprocessError, FailedPrecondition):
        return None  # the checks that need a server say so
    return python, files


def _libraries(loader: str, path: str) -> Iterator[str]:
    """The libraries of a program or library, as its loader finds them."""
    command = [loader, "--list", path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS, errors="replace")
    except (OSError, subprocess.SubprocessError) as error:
        raise FailedPrecondition(f"{' '.join(command)}: {error}; name an image with --image") from error
    return (match for match in _LISTED.findall(done.stdout) if os.path.isfile(match))


def loader_of(file: BinaryIO) -> str:
    """The program interpreter that an ELF file names (elf(5)); "" for a static one, and for what is no such file."""
    file.seek(0)
    head = file.read(_HEAD)
    if head[:4] != b"\x7fELF" or len(head) < _HEAD or head[4] not in _MAIN_HEADER or head[5] != _LITTLE_ENDIAN:
        return ""
    main, entry = _MAIN_HEADER[head[4]]
    table, size, count = struct.unpack_from(main, head)
    file.seek(table)
    entries = file.read(size * count)
    for at in range(0, len(entries), max(size, 1)):
        if struct.unpack_from("<I", entries, at)[0] == _PT_INTERP:
            begin, length = struct.unpack_from(entry, entries, at)
            file.seek(begin)
            return file.read(length).rstrip(b"\0").decode()
    return ""
