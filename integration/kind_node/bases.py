"""Stand-ins for the images that docker/Dockerfile starts from: Debian's own packages under their names.

The Debian one is what Debian's is, and knows how this machine reaches archives. The kind node has what kind's has that
cri-shim meets: the programs in the same places, containerd's configuration and its unit (`base/`), the four CNI plugins
that there are, no Python. It has no Kubernetes.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from integration.harness import cache, rootfs

if TYPE_CHECKING:
    from collections.abc import Mapping

DEBIAN_SUITE: Final = "trixie"
_NODE_SUITE: Final = "forky"  # the first with a containerd 2
_NODE_PACKAGES: Final = (
    *("systemd", "bash", "busybox", "ca-certificates", "conntrack", "iproute2", "iptables", "jq", "kmod", "mount"),
    *("nftables", "procps", "util-linux", "containerd", "containernetworking-plugins", "runc"),
)
_NODE_HOOKS: Final = (
    'mkdir -p "$1/opt/cni/bin" "$1/etc/cni/net.d"',
    'for plugin in host-local loopback portmap ptp; do mv "$1/usr/lib/cni/$plugin" "$1/opt/cni/bin/"; done',
    'rm -r "$1/usr/lib/cni" "$1/etc/containerd/config.toml" "$1/usr/lib/systemd/system/containerd.service"',
    'mv "$1/usr/bin/containerd" "$1/usr/bin/ctr" "$1/usr/bin/containerd-shim-runc-v2" "$1/usr/local/bin/"',
    'mv "$1/usr/sbin/runc" "$1/usr/local/sbin/" || mv "$1/usr/bin/runc" "$1/usr/local/sbin/"',
)
_FILES: Final = Path(__file__).parent / "base"
_BASE_SPEC: Final = """chroot "$1" sh -c '
    ctr oci spec | jq ".hooks.createContainer += [{path: \\"/kind/bin/in-every-container.sh\\"}]
        | del(.process.rlimits)" >/etc/containerd/cri-base.json
    systemctl reenable containerd.service'"""
_REACH: Final = "usr/local/share/reach"  # the files that pip's settings name


def debian() -> Path:
    """A minimal Debian."""
    settings = rootfs.pip_settings()
    recipe = [DEBIAN_SUITE, rootfs.apt_options(), settings]
    return cache.tree("base-debian", recipe, lambda directory: _build_debian(directory, settings))


def kind_node() -> Path:
    """What `kindest/node` is, without Kubernetes."""
    files = {str(path.relative_to(_FILES)): cache.digest(path) for path in sorted(_FILES.rglob("*")) if path.is_file()}
    recipe = [_NODE_SUITE, _NODE_PACKAGES, _NODE_HOOKS, _BASE_SPEC, files]
    return cache.tree("base-kind", recipe, _build_kind_node)


def volumes() -> list[str]:
    """Directories of this machine that pip is to find at the same place while an image is built."""
    return [path for path in rootfs.named_paths(_of_pip(rootfs.pip_settings()).values()) if Path(path).is_dir()]


def _build_debian(directory: Path, settings: Mapping[str, str]) -> None:
    rootfs.bootstrap(directory, ("apt",), (), suite=DEBIAN_SUITE)
    ours = _of_pip(settings)
    moved = {path: f"/{_REACH}/{Path(path).name}" for path in rootfs.named_paths(ours.values()) if Path(path).is_file()}
    (directory / _REACH).mkdir(parents=True)
    for path, copy in moved.items():
        shutil.copy(path, f"{directory}{copy}")
    lines = [f"{name} = {moved.get(value, value)}" for name, value in sorted(ours.items())]
    (directory / "etc/pip.conf").write_text("\n".join(["[global]", *lines]) + "\n")


def _of_pip(settings: Mapping[str, str]) -> dict[str, str]:
    """Of the variables that pip heeds, those of its own, by the names that they have in pip.conf."""
    prefix = "PIP_"
    found = {name: value for name, value in settings.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix).lower().replace("_", "-"): value for name, value in found.items()}


def _build_kind_node(directory: Path) -> None:
    hooks = (*_NODE_HOOKS, f'cp -a "{_FILES}/." "$1/"', 'chown -R 0:0 "$1/etc/containerd" "$1/kind"', _BASE_SPEC)
    rootfs.bootstrap(directory, _NODE_PACKAGES, hooks, suite=_NODE_SUITE)
