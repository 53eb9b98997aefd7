"""Makes a Python environment that needs nothing of the system that it is put on, in the stage that builds the images.

    environment.py requirements pyproject.toml FILE FILE    what the project needs to run, and to be built
    environment.py interpreter DIR                          an interpreter of its own below DIR, and a venv in DIR
    environment.py finish DIR                               after the packages: libraries, byte code, and what can go

A node has the C library that its distribution had when its image was made, and may have no Python at all. So the
interpreter comes with its standard library, every shared library that it or a package is linked with, the C library
included, and the loader that finds them: the interpreter names it (PT_INTERP), and its DT_RPATH leads to the libraries,
for all that is loaded later, too (ld.so(8)). No variable is set, so programs that are started (CNI plugins, runtimes)
keep the system's libraries. It works at the path that it is made for, on any distribution.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_LIBRARIES: Final = "python/lib"
# What a server has no use for. Of the standard library: terminals, windows, databases, tests, installers, manuals. Of
# what was installed: what only a compiler, a type checker or a shell reads, and the languages that Rich could colour.
_UNUSED: Final = (
    *("_curses*", "curses", "readline.*", "_pyrepl", "_tkinter*", "tkinter", "idlelib", "turtle.py", "turtledemo"),
    *("_dbm*", "_gdbm*", "dbm", "_sqlite3*", "sqlite3", "nis.*", "xmlrpc"),
    *("_ctypes_test*", "_test*.so", "test", "tests", "xxlimited*", "ensurepip", "lib2to3", "pydoc_data"),
    *("*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "include", "activate*", "Activate*", "pygments/lexers/[!_]*"),
)
_LIBRARY: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)  # ldd(1)


def requirements(project: Path, run: Path, build: Path) -> None:
    """Write what pip is to install: the project's dependencies, and those of its build."""
    settings = tomllib.loads(project.read_text(encoding="utf-8"))
    run.write_text("\n".join(settings["project"]["dependencies"]) + "\n", encoding="utf-8")
    build.write_text("\n".join(settings["build-system"]["requires"]) + "\n", encoding="utf-8")


def interpreter(directory: Path) -> None:
    """Copy the interpreter that runs this below `directory`, and make `directory` a venv of it."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = directory / "python"
    (home / "bin").mkdir(parents=True)
    shutil.copy2(os.path.realpath(sys.executable), home / "bin" / name)
    # Without what ties it to the system: Debian's own hooks, byte code made for other paths, the parts of a C compiler.
    foreign = shutil.ignore_patterns("sitecustomize.py", "EXTERNALLY-MANAGED", "__pycache__", "config-*")
    shutil.copytree(sysconfig.get_path("stdlib"), home / "lib" / name, ignore=foreign)
    subprocess.run([home / "bin" / name, "-m", "venv", "--without-pip", directory], check=True)


def finish(directory: Path) -> None:
    """Take out what isn't used, bring the shared libraries, and compile everything."""
    for unused in _found(directory, _UNUSED):
        shutil.rmtree(unused) if unused.is_dir() else unused.unlink()
    binaries = [path for path in directory.rglob("*") if not path.is_symlink() and _is_elf(path)]
    subprocess.run(["strip", "--strip-unneeded", *directory.rglob("*.so")], check=True)
    _bring_libraries(directory, binaries)
    _compile(directory)


def _found(directory: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from list(directory.rglob(pattern))


def _is_elf(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _bring_libraries(directory: Path, binaries: list[Path]) -> None:
    """Copy what the binaries are linked with, and have the interpreter find it there, its loader too."""
    libraries = directory / _LIBRARIES
    linked = subprocess.run(["ldd", *binaries], check=True, capture_output=True, text=True).stdout
    if "not found" in linked:
        raise SystemExit(f"a library is missing:\n{linked}")
    wanted = {path for path in _LIBRARY.findall(linked) if not path.startswith(f"{directory}/")}
    wanted |= {str(Path(path).with_name("libgcc_s.so.1")) for path in wanted if Path(path).name == "libc.so.6"}
    for path in sorted(wanted):
        shutil.copy(path, libraries)  # the file itself, under the name that is asked for
    program = next((directory / "python/bin").glob("python3.*"))
    loader = Path(_output("patchelf", "--print-interpreter", program)).name
    # In this order, one by one: patchelf 0.18 breaks a program of a fixed address when it is told to do both at once.
    subprocess.run(["patchelf", "--force-rpath", "--set-rpath", libraries, program], check=True)
    subprocess.run(["patchelf", "--set-interpreter", libraries / loader, program], check=True)


def _output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _compile(directory: Path) -> None:
    """Byte code that is used without a look at its source: an image's layers keep no exact times."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(directory, quiet=1, maxlevels=30, workers=0, invalidation_mode=mode):
        raise SystemExit("not everything could be compiled")


def main() -> None:
    """The command."""
    commands: dict[str, Callable[..., None]] = {
        "requirements": requirements,
        "interpreter": interpreter,
        "finish": finish,
    }
    verb, *paths = sys.argv[1:]
    commands[verb](*map(Path, paths))


if __name__ == "__main__":
    main()
