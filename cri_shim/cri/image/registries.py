"""How registries are reached and with whose account, as configured: read anew at SIGHUP, for the pulls that begin then.

Source: containerd `internal/cri/config/config.go` (`Registry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.config.image_settings import RegistrySettings
from cri_shim.cri.image.legacy_registry import write_hosts

if TYPE_CHECKING:
    from cri_shim.config.settings import Settings


class Registries:
    """The registry settings in force, replaced as a whole; `tree` is where the deprecated ones are put as files."""

    def __init__(self, tree: str) -> None:
        self._tree = tree
        self.settings = RegistrySettings()

    @property
    def config_path(self) -> str:
        """The directories with a `hosts.toml` for each host, with colons between them."""
        return self.settings.config_path or self._tree

    def take_over(self, settings: Settings) -> None:
        """From now on, these count. Blocks; raises `OSError`."""
        write_hosts(self._tree, settings.images.registry)
        self.settings = settings.images.registry
