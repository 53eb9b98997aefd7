"""The client of containerd's public gRPC API."""

from cri_shim.containerd.client import Client, connect

__all__ = ["Client", "connect"]
