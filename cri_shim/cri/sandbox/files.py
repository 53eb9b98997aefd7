"""The files of a pod: hostname, hosts, resolv.conf, and the shared memory that its containers see as /dev/shm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.namespace_options import namespace_options
from cri_shim.linux.mounts import mount

if TYPE_CHECKING:
    from cri_shim.state.metadata import SandboxMetadata
    from cri_shim.state.paths import Paths

SHM_BYTES = 64 << 20
SHM_OPTIONS = ("noexec", "nosuid", "nodev", "mode=1777", f"size={SHM_BYTES}")
NODE_SHM = "/dev/shm"


def resolv_conf(dns: cri.DnsConfig) -> str:
    """A resolv.conf of what the kubelet gives; its own limits on counts are the kubelet's to keep."""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "".join(f"{line}\n" for line in lines)


def shares_host_ipc(config: cri.PodSandboxConfig) -> bool:
    """Whether the pod shares the node's IPC namespace, and with it the node's /dev/shm."""
    options = namespace_options(config.linux)
    return options is not None and options.ipc == cri.NamespaceMode.NODE


def shm_path(paths: Paths, metadata: SandboxMetadata) -> str:
    """What the pod's containers get as /dev/shm."""
    return NODE_SHM if shares_host_ipc(metadata.config) else paths.shm(metadata.id)


def make_files(paths: Paths, metadata: SandboxMetadata, node_hostname: str) -> None:
    """Write the pod's files and mount its shared memory. Blocks: call it in a thread."""
    root, state, config = paths.sandbox_root(metadata.id), paths.sandbox_state(metadata.id), metadata.config
    os.makedirs(root, 0o755, exist_ok=True)
    os.makedirs(state, 0o755, exist_ok=True)
    _write(root, "hostname", f"{config.hostname or node_hostname}\n")
    _write(root, "hosts", _read("/etc/hosts"))
    dns = config.dns_config  # an empty one is false, but asks for an empty file
    _write(root, "resolv.conf", resolv_conf(dns) if dns is not None else _read("/etc/resolv.conf"))
    if not shares_host_ipc(config):
        shm = paths.shm(metadata.id)
        os.makedirs(shm, 0o700, exist_ok=True)
        mount("shm", shm, "tmpfs", SHM_OPTIONS)


def _write(directory: str, name: str, content: str) -> None:
    with open(os.path.join(directory, name), "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(content)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
