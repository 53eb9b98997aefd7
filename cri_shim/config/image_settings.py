"""What `[plugins."io.containerd.cri.v1.images"]` and `[plugins."io.containerd.transfer.v1.local"]` say.

Field names and defaults are containerd's. Source: containerd `internal/cri/config/config.go` and
`plugins/transfer/plugin.go`, 2.0 to 2.3.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_shim.config.durations import Seconds

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm/v7", "mips64": "mips64le"}


def host_platform() -> str:
    """The platform of this machine as OCI writes it: "linux/amd64"."""
    machine = os.uname().machine
    return f"linux/{_MACHINES.get(machine, machine)}"


@dataclass(frozen=True)
class ImagePlatform:
    """`[…runtime_platforms.<handler>]`: the images and the snapshotter that a handler's pods run from."""

    platform: str = ""  # such as "linux/arm64"
    snapshotter: str = ""  # what the handler's images are unpacked into


@dataclass(frozen=True)
class ImageDecryption:
    """`[…image_decryption]`: where keys for encrypted images are; "" switches decryption off."""

    key_model: str = "node"  # "node": keys lie on the node


@dataclass(frozen=True)
class Mirror:
    """`[…registry.mirrors.<host>]`, deprecated for `hosts.toml`."""

    endpoint: tuple[str, ...] = ()  # URLs, tried in order


@dataclass(frozen=True)
class RegistryAuth:
    """`[…registry.configs.<host>.auth]` and `[…registry.auths.<url>]`, deprecated for image pull secrets."""

    username: str = ""
    password: str = field(default="", repr=False)
    auth: str = field(default="", repr=False)
    identitytoken: str = field(default="", repr=False)


@dataclass(frozen=True)
class RegistryTls:
    """`[…registry.configs.<host>.tls]` of containerd 1.7; later ones read `hosts.toml` only."""

    insecure_skip_verify: bool = False  # take any certificate
    ca_file: str = ""  # PEM
    cert_file: str = ""  # the client's
    key_file: str = ""  # the client's


@dataclass(frozen=True)
class RegistryConfig:
    """`[…registry.configs.<host>]`, deprecated."""

    auth: RegistryAuth = field(default_factory=RegistryAuth)
    tls: RegistryTls = field(default_factory=RegistryTls)


@dataclass(frozen=True)
class RegistrySettings:
    """`[…registry]`: `config_path` is a colon-separated list of directories with a `hosts.toml` per registry."""

    config_path: str = ""  # directories with a hosts.toml per registry, separated by colons; read at each pull
    mirrors: Mapping[str, Mirror] = field(default_factory=dict)
    configs: Mapping[str, RegistryConfig] = field(default_factory=dict)
    auths: Mapping[str, RegistryAuth] = field(default_factory=dict)
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # sent with each request, by name


@dataclass(frozen=True)
class ImageSettings:
    """The images table; `stats_collect_period` is a whole number of seconds here, as in containerd."""

    snapshotter: str = "overlayfs"  # what images are unpacked into, and containers run from
    disable_snapshot_annotations: bool = True  # layers carry no labels for remote snapshotters
    discard_unpacked_layers: bool = False  # drop the compressed layers once they are unpacked
    pinned_images: Mapping[str, str] = field(
        default_factory=lambda: {"sandbox": PAUSE_IMAGE}
    )  # images that are never collected, by their role; `sandbox` is the pause image
    runtime_platforms: Mapping[str, ImagePlatform] = field(default_factory=dict)
    registry: RegistrySettings = field(default_factory=RegistrySettings)
    image_decryption: ImageDecryption = field(default_factory=ImageDecryption)
    max_concurrent_downloads: int = 3  # layers at once
    concurrent_layer_fetch_buffer: int = 0
    image_pull_progress_timeout: Seconds = 300.0  # a pull is given up when nothing came for so long
    image_pull_with_sync_fs: bool = False  # sync the file system of a layer before it counts as unpacked
    stats_collect_period: int = 10  # how often snapshots are measured, a number of seconds
    use_local_image_pull: bool = False  # containerd's older way to pull


@dataclass(frozen=True)
class UnpackConfig:
    """One `[[…unpack_config]]`: what the Transfer service can unpack into; others are stored but not unpacked."""

    platform: str = ""
    snapshotter: str = ""
    differ: str = ""


@dataclass(frozen=True)
class TransferSettings:
    """The Transfer service's table: containerd acts on it, we read it to foresee what it will do."""

    max_concurrent_downloads: int = 3
    concurrent_layer_fetch_buffer: int = 0
    max_concurrent_uploaded_layers: int = 3
    max_concurrent_unpacks: int = 1
    check_platform_supported: bool = False
    config_path: str = ""
    unpack_config: tuple[UnpackConfig, ...] = field(
        default_factory=lambda: (UnpackConfig(host_platform(), "overlayfs", "walking"),)
    )
