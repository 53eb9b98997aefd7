"""An asynchronous CRI v1 runtime, layered on containerd."""

__version__ = "0.1.0"
