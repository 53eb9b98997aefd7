"""The node's root file system: Debian forky, and on it a Python environment with what cri-shim depends on.

Two layers, each built once (`integration.harness.cache`): Debian by mmdebstrap, its signatures checked against the
host's debian-archive-keyring, and the Python environment by the node's own pip, in the first layer's chroot. How apt
and pip reach their archives is the host's configuration: apt's proxies and certificates, and everything that
`pip config list` says, are handed on, and so are the files that they name.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from integration.harness import cache, host
from integration.harness.errors import HarnessError
from integration.harness.guardian import PROJECT
from integration.harness.node import Bind, Node, NodePlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SUITE: Final = "forky"
PACKAGES: Final = (
    "busybox",
    "ca-certificates",
    "containerd",
    "containernetworking-plugins",
    "criu",
    "crun",
    "docker-registry",
    "iproute2",
    "iptables",
    "kmod",
    "mount",
    "procps",
    "python3",
    "python3-venv",
    "runc",
    "util-linux",
)
_OLDEST_CONTAINERD: Final = (2, 0)
# A stored Release file may be past its date when its archive is a snapshot; its signature is checked all the same.
_APT_OPTIONS: Final = ('Acquire::Check-Valid-Until "false"', 'APT::Install-Recommends "false"')
_DPKG_OPTIONS: Final = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*",
)
# Where the CNI project and containerd's defaults look for plugins.
_HOOKS: Final = (
    'mkdir -p "$1/opt/cni" "$1/etc/cni/net.d"',
    'ln -s /usr/lib/cni "$1/opt/cni/bin"',
    'rm "$1/etc/containerd/config.toml"',
)
_APT_PASSED_ON: Final = re.compile(r'^(Acquire::(?:https?|Retries|ForceIPv[46])\b[^ ]*) "(.+)";$', re.MULTILINE)

PYTHON: Final = "/opt/cri-shim"  # the environment, in the node
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES: Final = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_PIP_PATIENCE: Final = 900.0


def debian() -> Path:
    """The Debian layer."""
    return cache.tree("debian", [SUITE, PACKAGES, _APT_OPTIONS, _DPKG_OPTIONS, _HOOKS], _build_debian)


def machine(packages: Sequence[str], essential_hooks: Sequence[str], hooks: Sequence[str]) -> Path:
    """A Debian with what nodes have and with more `packages`; the hooks are mmdebstrap's.

    The essential ones run when packages without which there is no Debian are there, and the wanted ones are not yet.
    """
    wanted = (*PACKAGES, *packages)
    last = (*_HOOKS, *hooks)
    recipe = [SUITE, wanted, _APT_OPTIONS, _DPKG_OPTIONS, essential_hooks, last]
    return cache.tree("machine", recipe, lambda directory: bootstrap(directory, wanted, last, essential_hooks))


def python() -> tuple[Path, ...]:
    """The layers, topmost first, of Debian with the dependencies in pyproject.toml, in the environment `PYTHON`."""
    below = debian()
    wanted = dependencies()
    return cache.tree("python", [below.name, wanted], lambda directory: _build_python(directory, below, wanted)), below


def testing(below: Path) -> Path:
    """A layer on `below`, a Debian of ours, whose environment `PYTHON` has what the tests need as well."""
    wanted = [*dependencies(), *dependencies("test")]
    return cache.tree("testing", [below.name, wanted], lambda directory: _build_python(directory, below, wanted))


def with_wheel(wheel: Path) -> tuple[Path, ...]:
    """The layers of `python()`, with cri-shim itself installed from `wheel`."""
    below = python()

    def build(directory: Path) -> None:
        shown = f"/tmp/{wheel.name}"
        binds = (Bind(str(wheel.resolve()), shown),)
        install = [f"{PYTHON}/bin/pip", "install", "--no-deps", "--no-index", shown]
        with Node.start(NodePlan(below, binds, disks=(), upper=directory)) as node:
            node.run(install, timeout=_PIP_PATIENCE)
        _keep_environment(directory)

    return cache.tree("wheel", [[layer.name for layer in below], cache.digest(wheel)], build), *below


def dependencies(group: str = "") -> list[str]:
    """The project's run-time dependencies, or those of a dependency `group`, as pyproject.toml has them."""
    with open(PROJECT / "pyproject.toml", "rb") as file:
        content = tomllib.load(file)
    found = content["dependency-groups"][group] if group else content["project"]["dependencies"]
    return [str(requirement) for requirement in found]


def versions(layer: Path) -> dict[str, str]:
    """The versions of the packages in a Debian layer."""
    status = (layer / "var/lib/dpkg/status").read_text(encoding="utf-8")
    fields = (dict(re.findall(r"^(Package|Version): (.*)$", entry, re.MULTILINE)) for entry in status.split("\n\n"))
    return {entry["Package"]: entry["Version"] for entry in fields if "Version" in entry}


def require_containerd(version: str) -> None:
    """Raise `HarnessError` when `version`, a Debian version, is older than what cri-shim needs."""
    numbers = re.match(r"(?:\d+:)?(\d+)\.(\d+)", version)
    if not numbers or (int(numbers[1]), int(numbers[2])) < _OLDEST_CONTAINERD:
        raise HarnessError(f"Debian {SUITE} has containerd {version}, and cri-shim needs 2.0 or newer")


# ── Debian ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _build_debian(directory: Path) -> None:
    bootstrap(directory, PACKAGES, _HOOKS)


def bootstrap(
    directory: Path,
    packages: Sequence[str],
    hooks: Sequence[str],
    essential_hooks: Sequence[str] = (),
    suite: str = SUITE,
) -> None:
    """Put a minimal Debian with `packages` into `directory`; the hooks are mmdebstrap's.

    It reaches Debian's archive as this machine does. Raises `HarnessError` when mmdebstrap can't.
    """
    host.require_node()
    host.require_programs("mmdebstrap")
    host.require_disk(directory)
    mirror = os.environ.get("CRI_SHIM_DEBIAN_MIRROR")
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        f"--include={','.join(packages)}",
        *(f"--aptopt={option}" for option in (*_APT_OPTIONS, *apt_options())),
        *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
        *(f"--essential-hook={hook}" for hook in essential_hooks),
        *(f"--customize-hook={hook}" for hook in hooks),
        suite,
        str(directory),
        *([mirror] if mirror else []),
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace")
        raise HarnessError(f"mmdebstrap ended with {done.returncode}:\n{said}", remedy=_debian_remedy(said))
    if containerd := versions(directory).get("containerd"):
        require_containerd(containerd)


def _debian_remedy(said: str) -> str:
    if "NO_PUBKEY" in said or "not signed" in said or "keyring" in said:
        return "sudo apt-get install debian-archive-keyring   (Debian 12's or newer)"
    return "Debian's archive must be reachable for this one build; for a mirror: export CRI_SHIM_DEBIAN_MIRROR=URL"


def apt_options() -> list[str]:
    """How this machine's apt reaches archives, as apt.conf has it."""
    try:
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return apt_passed_on(dump)


def apt_passed_on(dump: str) -> list[str]:
    """Of `apt-config dump`, the options about how archives are reached, as apt.conf has them."""
    return [f'{name} "{value}"' for name, value in _APT_PASSED_ON.findall(dump)]


# ── Python ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _build_python(directory: Path, below: Path, wanted: list[str]) -> None:
    environment = pip_settings()
    binds = [Bind("/etc/resolv.conf", "/etc/resolv.conf"), Bind("/etc/hosts", "/etc/hosts")]
    binds += [Bind(path, path) for path in named_paths(environment.values()) if os.path.exists(path)]
    plan = NodePlan((below,), tuple(binds), disks=(), own_network=False, upper=directory)
    with Node.start(plan) as node:
        node.run(["python3", "-m", "venv", PYTHON], timeout=_PIP_PATIENCE)
        node.run([f"{PYTHON}/bin/pip", "install", "--no-input", *wanted], env=environment, timeout=_PIP_PATIENCE)
    _keep_environment(directory)


def pip_settings() -> dict[str, str]:
    """Variables that make a pip elsewhere reach what this machine's reaches."""
    return pip_environment(_pip_config(), os.environ)


def _pip_config() -> str:
    try:
        return subprocess.run(["pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def pip_environment(config: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What makes a pip elsewhere reach what this machine's reaches: variables for what `pip config list` says.

    A setting for pip as a whole (`global`) or for installing is taken; the environment's own comes last, as for pip.
    """
    found: dict[str, str] = {}
    for name, value in re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", config, re.MULTILINE):
        found[f"PIP_{name.upper().replace('-', '_')}"] = value
    found |= {name: environment[name] for name in (*_CERTIFICATES, *_PROXIES) if name in environment}
    found |= {name: value for name, value in environment.items() if name.startswith("PIP_")}
    found["PIP_NO_CACHE_DIR"] = "1"
    return found


def named_paths(values: Iterable[str]) -> list[str]:
    """The absolute paths among words, so that they can be shown elsewhere.

    Of a file: URL, an index, it is the directory above, since the index's links lead to files beside it.
    """
    found = set()
    for word in (word for value in values for word in value.split()):
        url = urlsplit(word)
        if url.scheme == "file":
            found.add(os.path.dirname(unquote(url.path).rstrip("/")))
        elif word.startswith("/"):
            found.add(word)
    return sorted(found - {"/"})


def _keep_environment(upper: Path) -> None:
    """Of what a node wrote into a layer, keep the Python environment, and not its own files and mount points."""
    kept = upper / PYTHON.lstrip("/")
    for entry in [*upper.iterdir(), *kept.parent.iterdir()]:
        if entry not in (kept, kept.parent):
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
