"""What containerd's configuration says outside of its CRI plugin: directories, sockets, timeouts.

Most of it is containerd's own business; it is read so that cri-shim finds containerd where the operator put it, and
so that a dump is whole. Field names and defaults are containerd's.
Source: containerd `cmd/containerd/server/config/config.go`, 2.0 to 2.3.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_shim.config.durations import Seconds

MESSAGE_LIMIT = 16 << 20
CLEANUP_TIMEOUT = "io.containerd.timeout.cri.defercleanup"


@dataclass(frozen=True)
class GrpcSettings:
    """`[grpc]`: containerd's socket; from version 4 on `plugins."io.containerd.server.v1.grpc"`. Sizes in bytes."""

    address: str = "/run/containerd/containerd.sock"
    uid: int = 0
    gid: int = 0
    max_recv_message_size: int = MESSAGE_LIMIT
    max_send_message_size: int = MESSAGE_LIMIT
    tcp_address: str = ""
    tcp_tls_ca: str = ""
    tcp_tls_cert: str = ""
    tcp_tls_key: str = ""
    tcp_tls_common_name: str = ""


@dataclass(frozen=True)
class TtrpcSettings:
    """`[ttrpc]`: the socket that shims report to; from version 4 on `plugins."io.containerd.server.v1.ttrpc"`."""

    address: str = ""
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class DebugSettings:
    """`[debug]`: containerd's own log and debug socket."""

    level: str = ""
    format: str = ""
    log_trace_id: bool = False
    address: str = ""
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class MetricsSettings:
    """`[metrics]`: containerd's own metrics."""

    address: str = ""
    grpc_histogram: bool = False


@dataclass(frozen=True)
class CgroupSettings:
    """`[cgroup]`: the cgroup that containerd moves itself into."""

    path: str = ""


@dataclass(frozen=True)
class ProxyPlugin:
    """`[proxy_plugins.<name>]`: a snapshotter or another plugin that runs as a process of its own."""

    type: str = ""
    address: str = ""
    platform: str = ""
    exports: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class StreamProcessor:
    """`[stream_processors.<id>]`: a program that turns one media type into another while unpacking."""

    accepts: tuple[str, ...] = ()
    returns: str = ""
    path: str = ""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


@dataclass(frozen=True)
class TasksSettings:
    """`[plugins."io.containerd.service.v1.tasks-service"]`: the files with classes of block I/O, and of cache (RDT)."""

    blockio_config_file: str = ""
    rdt_config_file: str = ""


@dataclass(frozen=True)
class ContainerdSettings:
    """The top level of containerd's configuration; `timeouts` are in seconds, by their containerd names."""

    root: str = "/var/lib/containerd"
    state: str = "/run/containerd"
    temp: str = ""
    disabled_plugins: tuple[str, ...] = ()
    required_plugins: tuple[str, ...] = ()
    oom_score: int = 0
    grpc: GrpcSettings = field(default_factory=GrpcSettings)
    ttrpc: TtrpcSettings = field(default_factory=TtrpcSettings)
    debug: DebugSettings = field(default_factory=DebugSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    cgroup: CgroupSettings = field(default_factory=CgroupSettings)
    timeouts: Mapping[str, Seconds] = field(default_factory=dict)
    proxy_plugins: Mapping[str, ProxyPlugin] = field(default_factory=dict)
    stream_processors: Mapping[str, StreamProcessor] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The socket that containerd answers on."""
        return self.grpc.address

    @property
    def cleanup_timeout(self) -> Seconds:
        """How long undoing a failed call may take, seconds; containerd's default is a minute."""
        return self.timeouts.get(CLEANUP_TIMEOUT, 60.0)
