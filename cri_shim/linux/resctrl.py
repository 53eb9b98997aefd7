"""Classes of cache and memory bandwidth: resctrl's groups, which containerd makes, and who may ask for them."""

from __future__ import annotations

import os

import structlog

from cri_shim.errors import InvalidArgument
from cri_shim.linux import documents
from cri_shim.oci.rdt import RdtRules, parse

log = structlog.get_logger(__name__)

_MOUNTED = "/sys/fs/resctrl"


def groups(mounted: str = _MOUNTED) -> frozenset[str] | None:
    """The control groups of resctrl (kernel `Documentation/arch/x86/resctrl.rst`); None where it isn't mounted."""
    if not os.path.exists(os.path.join(mounted, "schemata")):
        return None
    names = (entry.name for entry in os.scandir(mounted) if entry.is_dir())
    return frozenset(name for name in names if os.path.exists(os.path.join(mounted, name, "schemata")))


def rules(path: str) -> RdtRules | None:
    """The rules in the file at `path`; None, logged, for one that can't be read, and for no path. Blocks."""
    if not path:
        return None
    try:
        return parse(documents.read(path))
    except (OSError, InvalidArgument) as error:
        problem = (error.strerror if isinstance(error, OSError) else "") or str(error)
        log.error("classes of cache and memory bandwidth not enabled", rdt_config_file=path, error=problem)
        return None
