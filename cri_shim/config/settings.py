"""All that can be set, typed: containerd's keys and defaults, and one table of our own.

A `Settings` never changes. Where containerd fills in a value at start (`bin_dir` into `bin_dirs`, an empty
`sandboxer`), `cri_shim.config.effective` has done so before anybody sees it.
"""

import os
from dataclasses import dataclass, field, replace

from cri_shim.config.containerd_settings import ContainerdSettings, TasksSettings
from cri_shim.config.durations import Seconds
from cri_shim.config.image_settings import ImageSettings, TransferSettings
from cri_shim.config.runtime_settings import CniSettings, RuntimeHandler, RuntimeSettings

__all__ = ["RuntimeHandler", "Settings", "ShimSettings", "StreamingSettings", "TlsKeyPair"]

CRI_DIRECTORY = "io.containerd.grpc.v1.cri"


@dataclass(frozen=True)
class TlsKeyPair:
    """`[…x509_key_pair_streaming]`: PEM files."""

    tls_cert_file: str = ""
    tls_key_file: str = ""


@dataclass(frozen=True)
class StreamingSettings:
    """`[plugins."io.containerd.grpc.v1.cri"]`: the HTTP server for exec, attach and port-forward; seconds."""

    disable_tcp_service: bool = True
    stream_server_address: str = "127.0.0.1"  # where exec, attach and port-forward are served
    stream_server_port: str = "0"  # "0" takes a free one
    stream_idle_timeout: Seconds = 4 * 3600.0  # without traffic, a session ends
    enable_tls_streaming: bool = False  # with a certificate made at start, or with the one below
    x509_key_pair_streaming: TlsKeyPair = field(default_factory=TlsKeyPair)


@dataclass(frozen=True)
class ShimSettings:
    """`[plugins."io.cri-shim.v1"]`: what only cri-shim has; times in seconds."""

    address: str = "/run/cri-shim/cri-shim.sock"  # where the CRI is served
    gid: int = 0  # the group that may connect
    pass_through: bool = (
        False  # have containerd answer its own services at `address`, too: for whoever knows one socket
    )
    log_level: str = "info"  # trace, debug, info, warn, error
    log_format: str = "text"  # or json
    metrics_address: str = ""  # host:port of /metrics; "" serves none
    sandbox_image_archive: str = ""  # a tar with the sandbox image, for nodes that reach no registry; "" has it pulled
    cni_plugin_timeout: Seconds = 90.0  # of one run of one plugin; the kubelet gives a pod two minutes
    shim_timeout: Seconds = 30.0  # of a stop: a containerd-shim that hasn't answered by then is killed, with its pod
    drain_exec_sync_io_timeout: Seconds = 15.0  # where the runtime table says 0; 0 here waits for ever
    checkpoint_dirs: tuple[str, ...] = ("/var/lib/kubelet/checkpoints",)  # of archives that an image may name
    checkpoint_limit: int = 8 << 30  # bytes of a checkpoint that is restored, decompressed


@dataclass(frozen=True)
class Settings:
    """Everything, one table an attribute."""

    containerd: ContainerdSettings = field(default_factory=ContainerdSettings)
    runtime: RuntimeSettings = field(default_factory=RuntimeSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    streaming: StreamingSettings = field(default_factory=StreamingSettings)
    transfer: TransferSettings = field(default_factory=TransferSettings)
    tasks: TasksSettings = field(default_factory=TasksSettings)
    shim: ShimSettings = field(default_factory=ShimSettings)

    @property
    def cri_root(self) -> str:
        """The durable directory of the CRI plugin; its name did not follow the plugin's id in containerd 2.0."""
        return os.path.join(self.containerd.root, CRI_DIRECTORY)

    @property
    def cri_state(self) -> str:
        """The directory of the CRI plugin that ends with the boot."""
        return os.path.join(self.containerd.state, CRI_DIRECTORY)

    def cni_of(self, handler: RuntimeHandler) -> CniSettings:
        """The network settings for a handler's pods: its own directory and count, else the node's."""
        cni = self.runtime.cni
        return replace(
            cni,
            conf_dir=handler.cni_conf_dir or cni.conf_dir,
            max_conf_num=handler.cni_max_conf_num or cni.max_conf_num,
        )

    def snapshotter_of(self, handler: RuntimeHandler) -> str:
        """The snapshotter of a handler's containers: its own, else the images table's."""
        return handler.snapshotter or self.images.snapshotter
