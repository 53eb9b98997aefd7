"""A node as specs see it, made of values; and the inputs of specs, with what a test doesn't care about filled in."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace

from cri_shim.api.runtime import v1 as cri
from cri_shim.oci.container import ContainerSpecInput, PodFiles
from cri_shim.oci.facts import NodeFacts
from cri_shim.oci.host_view import HostDevice, HostMount, Propagation
from cri_shim.oci.image import ImageConfig, ImageProcess
from cri_shim.oci.policy import Policy
from cri_shim.oci.sandbox import SandboxSpecInput
from cri_shim.oci.users import Accounts

NODE = cri.NamespaceMode.NODE
POD = cri.NamespaceMode.POD
PRIVATE = HostMount("/", Propagation.PRIVATE)

FACTS = NodeFacts(
    kernel=(6, 12),
    architecture="x86_64",
    hostname="node-1",
    unified_cgroups=True,
    swap_controller=True,
    hugetlb_controller=True,
    effective_capabilities=("CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN"),
    oom_score_adj=-500,
    seccomp=True,
    apparmor=False,
)
IMAGE = ImageConfig(config=ImageProcess(entrypoint=["/bin/app"], cmd=["serve"]))
POD_CONFIG = cri.PodSandboxConfig(
    metadata=cri.PodSandboxMetadata(name="web", uid="u-1", namespace="shop", attempt=0), log_directory="/var/log/pods/x"
)
FILES = PodFiles("/pods/hostname", "/pods/hosts", "/pods/resolv.conf", "/pods/shm")
MAPPING = cri.IdMapping(host_id=100000, container_id=0, length=65536)
OWN_USERS = cri.UserNamespace(mode=POD, uids=[MAPPING], gids=[MAPPING])


@dataclass
class FakeHost:
    """A node's files: links, what is mounted how, devices, profiles; `asked` tells what was looked for."""

    links: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, HostMount] = field(default_factory=dict)
    device_nodes: dict[str, list[HostDevice]] = field(default_factory=dict)
    profiles: dict[str, bytes] = field(default_factory=dict)
    apparmor: frozenset[str] | None = frozenset({"cri-containerd.apparmor.d"})
    broken: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    resctrl: frozenset[str] | None = None

    def real_path(self, path: str) -> str:
        self.asked.append(path)
        if path in self.broken:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return self.links.get(path, path)

    def relabel(self, real_path: str, label: str) -> None:
        if real_path in self.broken:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), real_path)
        self.labels[real_path] = label

    def mount_of(self, real_path: str) -> HostMount:
        return self.mounts.get(real_path, PRIVATE)

    def devices(self, path: str) -> list[HostDevice]:
        if path not in self.device_nodes:
            raise OSError(errno.ENODEV, "not a device node", path)
        return self.device_nodes[path]

    def device(self, path: str) -> HostDevice:
        return self.devices(path)[0]

    def all_devices(self) -> list[HostDevice]:
        return self.devices("/dev")

    def seccomp_profile(self, path: str) -> bytes:
        if path not in self.profiles:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.profiles[path]

    def rdt_classes(self) -> frozenset[str] | None:
        return self.resctrl

    def apparmor_loaded(self, name: str) -> bool:
        if self.apparmor is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "profiles")
        return name in self.apparmor


def device(path: str, below: str = "", minor: int = 3) -> HostDevice:
    """A character device like /dev/null."""
    return HostDevice(path=path, below=below, type="c", major=1, minor=minor, mode=0o666, uid=0, gid=5)


def facts(**changed: object) -> NodeFacts:
    return replace(FACTS, **changed)  # type: ignore[arg-type]


def pod_config(
    context: cri.LinuxSandboxSecurityContext | None = None,
    linux: cri.LinuxPodSandboxConfig | None = None,
    **fields: object,
) -> cri.PodSandboxConfig:
    """The config of a pod; `context` is its security context."""
    if context is not None:
        linux = cri.LinuxPodSandboxConfig(security_context=context)
    return cri.PodSandboxConfig(metadata=POD_CONFIG.metadata, linux=linux, **fields)  # type: ignore[arg-type]


def sandbox_input(config: cri.PodSandboxConfig = POD_CONFIG, **changed: object) -> SandboxSpecInput:
    given = SandboxSpecInput(
        id="s1",
        config=config,
        image=ImageConfig(config=ImageProcess(entrypoint=["/pause"])),
        image_name="registry.k8s.io/pause:3.10",
        netns_path="/run/netns/cni-1",
        shm_path="/pods/shm",
        resolv_conf_path="/pods/resolv.conf",
        facts=FACTS,
        policy=Policy(user_namespaces=True),
        host=FakeHost(),
    )
    return replace(given, **changed)  # type: ignore[arg-type]


def container_input(
    config: cri.ContainerConfig | None = None,
    context: cri.LinuxContainerSecurityContext | None = None,
    **changed: object,
) -> ContainerSpecInput:
    """The input of a container's spec; `context` is its security context."""
    config = config or cri.ContainerConfig(metadata=cri.ContainerMetadata(name="app"))
    if context is not None:
        config.linux = config.linux or cri.LinuxContainerConfig()
        config.linux.security_context = context
    given = ContainerSpecInput(
        id="c1",
        config=config,
        pod=POD_CONFIG,
        sandbox=POD_CONFIG,
        sandbox_id="s1",
        sandbox_pid=42,
        image=IMAGE,
        image_name="docker.io/library/app:1",
        accounts=Accounts(),
        files=FILES,
        facts=FACTS,
        policy=Policy(),
        host=FakeHost(),
    )
    return replace(given, **changed)  # type: ignore[arg-type]
