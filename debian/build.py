"""Builds the Debian package: python debian/build.py WHEEL DIRECTORY. Needs pip, dpkg-deb, and a package index."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cri_shim.config import default
from cri_shim.install.unit_files import units

HERE = Path(__file__).resolve().parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")  # Debian 12 has the first, 13 the third
GLIBC = ("2_17", "2_27", "2_28", "2_34", "2_35")  # manylinux: Debian 12 has 2.36
LIBRARIES = Path("usr/lib/cri-shim")
SCRIPTS = ("postinst", "prerm", "postrm")


def main() -> None:
    """Build it, and print its path."""
    wheel, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    version = wheel.name.split("-")[1]
    architecture = run("dpkg", "--print-architecture").strip()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cri-shim-deb-") as name:
        root, wheels = Path(name) / "root", Path(name) / "wheels"
        download(wheel, wheels)
        for python in PYTHONS:
            unpack(wheel, wheels, python, root / LIBRARIES / f"python{python}")
        share(root / LIBRARIES)
        add_files(root)
        add_control(root, version, architecture)
        package = out / f"cri-shim_{version}_{architecture}.deb"
        run("dpkg-deb", "--root-owner-group", "-Zzstd", "--build", str(root), str(package))
    sys.stdout.write(f"{package}\n")


def run(*command: str) -> str:
    """Output of a command; its errors go where ours go."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def pip(*arguments: str) -> None:
    """Run the pip of this interpreter."""
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *arguments)


def download(wheel: Path, wheels: Path) -> None:
    """Into `wheels`, what `wheel` depends on, as wheels for each Python: some are to be had as sources only."""
    pip("wheel", "--wheel-dir", str(wheels), str(wheel))
    for python in PYTHONS:
        pip("download", "--dest", str(wheels), *target(wheels, python), str(wheel))


def target(wheels: Path, python: str) -> list[str]:
    """The options of pip for another Python than its own."""
    machine = platform.machine()
    platforms = [f"manylinux_{glibc}_{machine}" for glibc in GLIBC] + [f"manylinux2014_{machine}", f"linux_{machine}"]
    abis = ["cp" + python.replace(".", ""), "abi3", "none"]
    return [
        *("--find-links", str(wheels), "--only-binary", ":all:", "--implementation", "cp", "--python-version", python),
        *(option for abi in abis for option in ("--abi", abi)),
        *(option for one in platforms for option in ("--platform", one)),
    ]


def unpack(wheel: Path, wheels: Path, python: str, directory: Path) -> None:
    """What is imported, for one Python."""
    pip("install", "--no-compile", "--no-index", "--target", str(directory), *target(wheels, python), str(wheel))
    shutil.rmtree(directory / "bin", ignore_errors=True)


def share(libraries: Path) -> None:
    """Move what all Pythons have alike to one place."""
    trees = sorted(libraries.iterdir())
    common = libraries / "common"
    common.mkdir()
    for entry in sorted(trees[0].iterdir()):
        copies = [tree / entry.name for tree in trees]
        if all(copy.exists() and digest(copy) == digest(entry) for copy in copies[1:]):
            for copy in copies[1:]:
                remove(copy)
            entry.rename(common / entry.name)


def digest(entry: Path) -> str:
    """A hash of a file, or of all in a directory."""
    found = hashlib.sha256()
    for file in sorted(path for path in (entry, *entry.rglob("*")) if path.is_file()):
        found.update(f"{file.relative_to(entry)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()


def remove(entry: Path) -> None:
    """A file, or a directory with all in it."""
    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def add_files(root: Path) -> None:
    """The command, the units with what `cri-shim install` would write into them, completions, the licence."""
    put(HERE / "cri-shim", root / "usr/bin/cri-shim", 0o755)
    put(HERE / "copyright", root / "usr/share/doc/cri-shim/copyright", 0o644)
    for name, unit in units(executable="/usr/bin/cri-shim", address=default().shim.address, gid=0).items():
        file = root / "usr/lib/systemd/system" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(unit.text)


def put(source: Path, target_: Path, mode: int) -> None:
    """Copy a file, with its directories."""
    target_.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target_)
    target_.chmod(mode)


def add_control(root: Path, version: str, architecture: str) -> None:
    """What dpkg reads."""
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file()) // 1024
    control = (HERE / "control").read_text()
    for name, value in (("VERSION", version), ("ARCHITECTURE", architecture), ("SIZE", str(size))):
        control = control.replace(f"@{name}@", value)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(control)
    for script in SCRIPTS:
        put(HERE / script, root / "DEBIAN" / script, 0o755)
    run("chmod", "-R", "u=rwX,go=rX", str(root))


if __name__ == "__main__":
    main()
