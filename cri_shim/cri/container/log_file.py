"""Which log a container's output goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_shim.stdio.log_writer import LogFile

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts
    from cri_shim.state.container import Container


def log_file(parts: Parts, container: Container) -> LogFile | None:
    """The container's log; None when its output is discarded."""
    path = container.metadata.log_path
    return LogFile(path, line_limit=parts.settings.runtime.max_container_log_line_size) if path else None
