"""What an operator configures, read from containerd's files and ours: `load`, `default`, `dump`."""

from cri_shim.config.loader import Loaded, default, default_files, load
from cri_shim.config.report import ConfigInvalid
from cri_shim.config.settings import Settings
from cri_shim.config.writer import dump

__all__ = ["ConfigInvalid", "Loaded", "Settings", "default", "default_files", "dump", "load"]
