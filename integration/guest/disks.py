"""What the guest boots from: a Debian with a kernel and systemd, and the harness's cached trees, as ext4 images.

Everything is built once (`integration.harness.cache`), but the disk with the project, which is made for each boot.
Images are made by `mke2fs -d`: nothing is mounted on the host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from integration.guest.work import CRITEST, SOURCE, STEPS
from integration.harness import cache, host, rootfs
from integration.harness.errors import HarnessError
from integration.harness.guardian import PROJECT
from integration.harness.node import Bind, Node, NodePlan
from integration.images import build as images

if TYPE_CHECKING:
    from pathlib import Path

CACHE: Final = "/var/cache/cri-shim"  # the guest's $CRI_SHIM_CACHE
BYTECODE: Final = "bytecode"  # in `SOURCE`

_PACKAGES: Final = (
    *("apparmor", "dbus", "initramfs-tools", "linux-image-amd64", "systemd-sysv", "udev", "zstd"),
    *("libselinux1", "policycoreutils", "selinux-policy-default"),
)
# An initial RAM disk that finds ext4 on virtio, and has nothing else.
_ESSENTIAL_HOOKS: Final = (
    'mkdir -p "$1/etc/initramfs-tools/conf.d"',
    'echo MODULES=list >"$1/etc/initramfs-tools/conf.d/guest"',
    'printf "virtio_pci\\nvirtio_blk\\next4\\n" >"$1/etc/initramfs-tools/modules"',
)
_HOOKS: Final = (
    'find "$1/etc/apparmor.d" -maxdepth 1 -type f -delete',  # the distribution's profiles take long to load
    # systemd loads the policy where the kernel has SELinux; nothing is refused, for no file is labelled.
    'printf "SELINUX=permissive\\nSELINUXTYPE=default\\n" >"$1/etc/selinux/config"',
    f'mkdir -p "$1{CACHE}" "$1{SOURCE}" "$1{rootfs.PYTHON}"',
)
_ROOT_SIZE: Final = 8 << 30  # what isn't written takes no space on the host
_SLACK: Final = 1.3  # how much larger a file system is than the files in it
_LEAST: Final = 16 << 20
_BLOCK: Final = 4096
_SHOWN: Final = ("cri_shim", "integration", "protos", "docker", "pyproject.toml", "hatch_build.py", "README.md")
_IMAGE: Final = "image.ext4"
_COMPILE: Final = 300.0  # seconds


@dataclass(frozen=True)
class Disk:
    """An image whose file system has a `label`; the guest mounts it at `target`."""

    label: str
    image: Path
    target: str


@dataclass(frozen=True)
class Kernel:
    """The guest's kernel, the directory of its modules, and an initial RAM disk that finds the root."""

    image: Path
    initrd: Path
    modules: Path


@dataclass(frozen=True)
class Boot:
    """A kernel, its initial RAM disk, and the disks, the root's first."""

    kernel: Path
    initrd: Path
    disks: tuple[Disk, ...]


def boot(project: Disk) -> Boot:
    """Build what isn't built yet; the last disk is the `project`. Raises `HarnessError` when the machine can't."""
    host.require_programs("mmdebstrap", "mke2fs")
    system = _system()
    layers = {"images": images.layer(), **dict(zip(("python", "debian"), rootfs.python(), strict=True))}
    testing = rootfs.testing(system) / rootfs.PYTHON.lstrip("/")
    found = kernel()
    return Boot(
        kernel=found.image,
        initrd=found.initrd,
        disks=(
            Disk("root", _cached("root", system.name, system, _ROOT_SIZE), "/"),
            Disk("testing", _cached("testing", testing.parents[1].name, testing), rootfs.PYTHON),
            *(Disk(label, _cached(label, tree.name, tree), f"{CACHE}/{tree.name}") for label, tree in layers.items()),
            project,
        ),
    )


def kernel() -> Kernel:
    """Debian's. Raises `HarnessError` when the machine can't build a Debian."""
    system = _system()
    return Kernel(_newest(system, "vmlinuz-*"), _newest(system, "initrd.img-*"), system / "usr/lib/modules")


def project(directory: Path, steps: str, critest: Path | None) -> Disk:
    """A disk made in `directory`, with what the guest runs of the project, the text of `steps`, and `critest`."""
    staged = directory / "project"
    staged.mkdir()
    (staged / STEPS).write_text(steps)
    for name in _SHOWN:
        source, target = PROJECT / name, staged / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
        elif source.exists():
            shutil.copy2(source, target)
    if critest:
        shutil.copy2(critest, staged / CRITEST)
    _compile(staged)
    make("project", staged, directory / "project.ext4")
    return Disk("project", directory / "project.ext4", SOURCE)


def _compile(staged: Path) -> None:
    """Byte code for all that the guest runs: in software a processor takes minutes to make it."""
    bytecode = cache.cache_directory() / "bytecode"
    bytecode.mkdir(exist_ok=True)
    system = _system()
    binds = (Bind(str(staged), SOURCE, readonly=False), Bind(str(bytecode), f"{SOURCE}/{BYTECODE}", readonly=False))
    with Node.start(NodePlan((rootfs.testing(system), system), binds, disks=())) as node:
        python = [f"{rootfs.PYTHON}/bin/python", "-m"]
        environment = {"PYTHONPATH": SOURCE, "PYTHONPYCACHEPREFIX": f"{SOURCE}/{BYTECODE}"}
        node.run([*python, "compileall", "-q", "cri_shim"], env=environment, cwd=SOURCE, timeout=_COMPILE)
        collect = ["pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", "integration"]
        node.run([*python, *collect], env=environment, cwd=SOURCE, timeout=_COMPILE)  # pytest's own form of tests
    shutil.copytree(bytecode, staged / BYTECODE, dirs_exist_ok=True)


def _system() -> Path:
    return rootfs.machine(_PACKAGES, _ESSENTIAL_HOOKS, _HOOKS)


def _newest(system: Path, pattern: str) -> Path:
    found = sorted((system / "boot").glob(pattern))
    if not found:
        raise HarnessError(f"{system}/boot has no {pattern}: remove {system}, and it is built again")
    return found[-1]


def _cached(label: str, recipe: str, tree: Path, size: int = 0) -> Path:
    """The image of a cached tree; `recipe` is the name that the tree is cached by."""
    built = cache.tree(f"disk-{label}", [recipe, size], lambda directory: make(label, tree, directory / _IMAGE, size))
    return built / _IMAGE


def make(label: str, tree: Path, image: Path, size: int = 0) -> None:
    """Make an ext4 `image` of a tree, at least `size` bytes large. Raises `HarnessError` when mke2fs fails."""
    blocks = max(size, _LEAST + int(_SLACK * _occupied(tree))) // _BLOCK
    features = ["-O", "^has_journal", "-E", "lazy_itable_init=0,root_owner=0:0"]
    command = ["mke2fs", "-q", "-t", "ext4", "-b", str(_BLOCK), *features, "-L", label, "-d", str(tree), str(image)]
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
    done = subprocess.run([*command, str(blocks)], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise HarnessError(f"mke2fs ended with {done.returncode} for {tree}:\n{done.stdout}{done.stderr}")


def _occupied(tree: Path) -> int:
    """Bytes in whole blocks of all that is in a tree."""
    return sum(
        (os.lstat(os.path.join(directory, name)).st_size // _BLOCK + 1) * _BLOCK
        for directory, below, files in os.walk(tree)
        for name in (*below, *files)
    )
