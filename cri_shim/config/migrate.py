"""Older and newer layouts of containerd's file, brought to one: that of version 3.

Version 2 keeps all of CRI in one table, `io.containerd.grpc.v1.cri`; version 3 in three; version 4 moves containerd's
own servers from the top level into plugin tables. Where an old and a new place both have a key, the new one wins.
Sources: containerd `plugins/cri/{runtime,images}/plugin.go`, `plugins/cri/cri.go`,
`cmd/containerd/server/config/config.go`. A version 3 file may have keys in version 2's place, as for containerd 2.3.
"""

from __future__ import annotations

from cri_shim.config.source import Table, Value

NEWEST_VERSION = 4

RUNTIME = "io.containerd.cri.v1.runtime"
IMAGES = "io.containerd.cri.v1.images"
CRI = "io.containerd.grpc.v1.cri"
TRANSFER = "io.containerd.transfer.v1.local"
TASKS = "io.containerd.service.v1.tasks-service"
SHIM = "io.cri-shim.v1"

_STREAMING_KEYS = {
    "disable_tcp_service",
    "stream_server_address",
    "stream_server_port",
    "stream_idle_timeout",
    "enable_tls_streaming",
    "x509_key_pair_streaming",
}
_IMAGE_KEYS = {
    "registry",
    "image_decryption",
    "max_concurrent_downloads",
    "image_pull_progress_timeout",
    "image_pull_with_sync_fs",
    "stats_collect_period",
}
_IMAGE_KEYS_OF_CONTAINERD = {"snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers"}
_SERVERS = {  # plugin of version 4: table and key prefix of version 3
    "io.containerd.server.v1.grpc": ("grpc", ""),
    "io.containerd.server.v1.grpc-tcp": ("grpc", "tcp_"),
    "io.containerd.server.v1.ttrpc": ("ttrpc", ""),
    "io.containerd.server.v1.debug": ("debug", ""),
    "io.containerd.server.v1.metrics": ("metrics", ""),
    "io.containerd.metrics.v1.grpc-prometheus": ("metrics", ""),
}
_SHARED_WITH_TCP = {"max_recv_message_size", "max_send_message_size"}
_BY_ENTRY = {"plugins", "timeouts", "proxy_plugins", "stream_processors"}  # where a zero value counts


def migrate(file: Table, version: int) -> None:
    """Bring one file's tree, written for `version`, to version 3's layout, in place."""
    _drop_zeros(file)
    plugins = file.find("plugins")
    if plugins is None:
        return
    if version < 2:  # noqa: PLR2004  (version 1 knew plugins by short names)
        _move(plugins, "cri", plugins, CRI)
    if version < NEWEST_VERSION:
        _split_cri(plugins)
    _servers_to_top(file, plugins)


def _drop_zeros(table: Table) -> None:
    """At the top level a false, 0 or "" stands for an absent key: it can't undo what another file sets."""
    for key, entry in list(table.entries.items()):
        if key in _BY_ENTRY:
            continue
        if isinstance(entry, Table):
            _drop_zeros(entry)
        elif not entry.value:
            del table.entries[key]


def _move(source: Table, key: str, target: Table, name: str) -> None:
    if (entry := source.entries.pop(key, None)) is None:
        return
    present = target.entries.get(name)
    if present is None:
        target.entries[name] = entry
    elif isinstance(present, Table) and isinstance(entry, Table):
        for below in list(entry.entries):
            _move(entry, below, present, below)


def _split_cri(plugins: Table) -> None:
    cri = plugins.find(CRI)
    if cri is None:
        return
    runtime, images = plugins.table(RUNTIME), plugins.table(IMAGES)
    _move(cri, "sandbox_image", images.table("pinned_images"), "sandbox")
    if (containerd := cri.find("containerd")) is not None:
        for key in _IMAGE_KEYS_OF_CONTAINERD:
            _move(containerd, key, images, key)
        for handler in _tables(containerd.find("runtimes")):
            _move(handler, "sandbox_mode", handler, "sandboxer")
    if (cni := cri.find("cni")) is not None:
        _list_bin_dir(cni)
    for key in list(cri.entries):
        if key in _IMAGE_KEYS:
            _move(cri, key, images, key)
        elif key not in _STREAMING_KEYS:
            _move(cri, key, runtime, key)


def _tables(table: Table | None) -> list[Table]:
    return [entry for entry in table.entries.values() if isinstance(entry, Table)] if table else []


def _list_bin_dir(cni: Table) -> None:
    """`bin_dir` becomes `bin_dirs`; an empty one stood for the default."""
    match cni.entries.get("bin_dir"):
        case Value(str() as directory, origin):
            del cni.entries["bin_dir"]
            if directory:
                cni.entries.setdefault("bin_dirs", Value([directory], origin))


def _servers_to_top(file: Table, plugins: Table) -> None:
    for plugin, (table, prefix) in _SERVERS.items():
        server = plugins.entries.pop(plugin, None)
        if not isinstance(server, Table):
            continue
        target = file.table(table)
        for key, entry in server.entries.items():
            if not (prefix and key in _SHARED_WITH_TCP):
                target.entries[prefix + key] = entry
