"""Whether what was pulled is an image, and one for this machine.

Where a reference leads to an index, containerd has chosen; a manifest that stands alone it takes as it is.
Source: OCI image-spec, `config.md` (`architecture` and `os` are required), `manifest.md` ("Guidelines for Artifact
Usage").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cri_shim.errors import FailedPrecondition

if TYPE_CHECKING:
    from cri_shim.oci.image import ImageConfig

_ALSO_RUN: Final = {"amd64": ("386",), "arm64": ("arm",)}


def check_fitness(name: str, config: ImageConfig, architecture: str, *, emulated: bool) -> None:
    """Raise FailedPrecondition for an artifact, and for an image of another system or, unless `emulated`, processor."""
    if not config.os and not config.rootfs.diff_ids:
        raise FailedPrecondition(f'"{name}" is no container image: its configuration names neither a system nor layers')
    runs = (architecture, *_ALSO_RUN.get(architecture, ()), "")
    if config.os in ("linux", "") and (emulated or config.architecture in runs):
        return
    raise FailedPrecondition(
        f'image "{name}" is for {config.os}/{config.architecture}, this node runs linux/{architecture}: '
        "pull a tag that has it"
    )
