"""The OCI image configuration, as far as a runtime reads it.

Source: OCI image-spec, `config.md`. Docker's schema 2 configuration has the same keys. JSON `null` and an absent key
both stand for the empty value, as in Go.
"""

from __future__ import annotations

import msgspec


class ImageProcess(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """The `config` object of an image configuration: what to run, as whom, where."""

    user: str = ""
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str = ""
    volumes: dict[str, dict[str, object]] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    exposed_ports: dict[str, dict[str, object]] | None = None


class RootFs(msgspec.Struct, frozen=True):
    """The layers, as digests of their uncompressed content, from the lowest up."""

    type: str = "layers"
    diff_ids: list[str] = []


class ImageConfig(msgspec.Struct, frozen=True):
    """An image configuration; `msgspec.json.decode(blob, type=ImageConfig)` reads one, unknown keys skipped."""

    architecture: str = ""
    os: str = ""
    config: ImageProcess | None = None
    rootfs: RootFs = RootFs()

    @property
    def process(self) -> ImageProcess:
        """The `config` object; an empty one where the image has none."""
        return self.config or ImageProcess()
