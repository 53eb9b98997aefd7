"""The records that containerd's CRI plugin keeps beside its containers and sandboxes, byte-compatible.

Both kinds are an envelope `{"Version": "v1", "Metadata": {…}}` with Go field names and no omitted keys, carried as an
`Any` in an extension of a containerd container or of a sandbox store record. Because they are the plugin's own, a node
can switch between the plugin and cri-shim with its pods running.

Source: containerd `internal/cri/store/sandbox/metadata.go`, `internal/cri/store/container/metadata.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
from google.protobuf import any_pb2

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni.result import CniResult
from cri_shim.errors import DataLoss
from cri_shim.state.go_json import from_json_value, to_json_value

SANDBOX_EXTENSION = "io.cri-containerd.sandbox.metadata"  # on the pause container
CONTAINER_EXTENSION = "io.cri-containerd.container.metadata"  # on a workload container
STORE_EXTENSION = "metadata"  # on the sandbox store's record
RESOURCES_EXTENSION = "updated-resources"  # on the sandbox store's record, from containerd 2.3 on
SANDBOX_TYPE_URL = "github.com/containerd/cri/pkg/store/sandbox/Metadata"
CONTAINER_TYPE_URL = "github.com/containerd/cri/pkg/store/container/Metadata"
RESOURCES_TYPE_URL = "io.containerd.cri.v1/UpdatedResources"
# Ours, on a sandbox store record only while RunPodSandbox is under way: recovery undoes what such a record names. A
# label and not an extension, for containerd's store merges extensions: one that was written stays.
CREATING_LABEL = "io.cri-shim/creating"

SANDBOXER = "podsandbox"  # of the records that are ours and the plugin's; others have a controller of their own

KIND_LABEL = "io.cri-containerd.kind"
KIND_SANDBOX = "sandbox"
KIND_CONTAINER = "container"


@dataclass(frozen=True)
class SandboxMetadata:
    """What was asked of a sandbox, and the network that it got."""

    id: str
    name: str
    config: cri.PodSandboxConfig
    netns_path: str = ""
    ip: str = ""
    additional_ips: tuple[str, ...] = ()
    runtime_handler: str = ""
    cni_result: CniResult | None = None  # None: setting up the network never completed
    process_label: str = ""

    def to_any(self) -> any_pb2.Any:
        """The record as an extension carries it."""
        return _envelope(
            SANDBOX_TYPE_URL,
            {
                "ID": self.id,
                "Name": self.name,
                "Config": to_json_value(self.config),
                "NetNSPath": self.netns_path,
                "IP": self.ip,
                "AdditionalIPs": list(self.additional_ips) or None,
                "RuntimeHandler": self.runtime_handler,
                "CNIResult": self.cni_result.to_json_value() if self.cni_result else None,
                "ProcessLabel": self.process_label,
            },
        )

    @staticmethod
    def from_any(extension: any_pb2.Any) -> SandboxMetadata:
        """The record that `extension` carries; DataLoss when it is damaged or of another version."""
        value = _open(extension, "sandbox")
        result = value.get("CNIResult")
        return SandboxMetadata(
            id=_text(value, "ID"),
            name=_text(value, "Name"),
            config=from_json_value(cri.PodSandboxConfig, value.get("Config") or {}),
            netns_path=_text(value, "NetNSPath"),
            ip=_text(value, "IP"),
            additional_ips=tuple(value.get("AdditionalIPs") or ()),
            runtime_handler=_text(value, "RuntimeHandler"),
            cni_result=CniResult.from_json_value(result) if result is not None else None,
            process_label=_text(value, "ProcessLabel"),
        )


@dataclass(frozen=True)
class UpdatedResources:
    """What a pod was told of its resources after it was made; None for what it wasn't told of."""

    overhead: cri.LinuxContainerResources | None = None
    resources: cri.LinuxContainerResources | None = None

    def to_any(self) -> any_pb2.Any:
        """The record as an extension carries it: without an envelope."""
        value = {"Overhead": _optional(self.overhead), "Resources": _optional(self.resources)}
        return any_pb2.Any(type_url=RESOURCES_TYPE_URL, value=msgspec.json.encode(value))

    @staticmethod
    def from_any(extension: any_pb2.Any) -> UpdatedResources:
        """The record that `extension` carries; DataLoss when it is damaged."""
        try:
            value = msgspec.json.decode(extension.value, type=dict[str, dict[str, Any] | None])
        except msgspec.MsgspecError as error:
            raise DataLoss(f"stored resources of a sandbox can't be read: {error}") from error
        found = {
            key: from_json_value(cri.LinuxContainerResources, one) for key, one in value.items() if one is not None
        }
        return UpdatedResources(found.get("Overhead"), found.get("Resources"))


@dataclass(frozen=True)
class ContainerMetadata:
    """What was asked of a container, and where things of it are."""

    id: str
    name: str
    sandbox_id: str
    config: cri.ContainerConfig = field(default_factory=cri.ContainerConfig)
    image_ref: str = ""  # the image's id: `sha256:…` of its configuration
    log_path: str = ""  # "": the output is discarded
    stop_signal: str = ""
    process_label: str = ""

    def to_any(self) -> any_pb2.Any:
        """The record as an extension carries it."""
        return _envelope(
            CONTAINER_TYPE_URL,
            {
                "ID": self.id,
                "Name": self.name,
                "SandboxID": self.sandbox_id,
                "Config": to_json_value(self.config),
                "ImageRef": self.image_ref,
                "LogPath": self.log_path,
                "StopSignal": self.stop_signal,
                "ProcessLabel": self.process_label,
            },
        )

    @staticmethod
    def from_any(extension: any_pb2.Any) -> ContainerMetadata:
        """The record that `extension` carries; DataLoss when it is damaged or of another version."""
        value = _open(extension, "container")
        return ContainerMetadata(
            id=_text(value, "ID"),
            name=_text(value, "Name"),
            sandbox_id=_text(value, "SandboxID"),
            config=from_json_value(cri.ContainerConfig, value.get("Config") or {}),
            image_ref=_text(value, "ImageRef"),
            log_path=_text(value, "LogPath"),
            stop_signal=_text(value, "StopSignal"),
            process_label=_text(value, "ProcessLabel"),
        )


def _optional(resources: cri.LinuxContainerResources | None) -> object:
    return to_json_value(resources) if resources is not None else None


def _envelope(type_url: str, metadata: dict[str, object]) -> any_pb2.Any:
    return any_pb2.Any(type_url=type_url, value=msgspec.json.encode({"Version": "v1", "Metadata": metadata}))


def _open(extension: any_pb2.Any, kind: str) -> dict[str, Any]:
    try:
        envelope = msgspec.json.decode(extension.value)
        version, metadata = envelope["Version"], envelope["Metadata"]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise DataLoss(f"stored {kind} metadata can't be read: {error}") from error
    if version != "v1" or not isinstance(metadata, dict):
        raise DataLoss(f"stored {kind} metadata has version {version!r}; this cri-shim reads v1 only")
    return metadata


def _text(value: dict[str, Any], key: str) -> str:
    found = value.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise DataLoss(f"stored metadata has {key} = {found!r:.80}, which is no string")
    return found
