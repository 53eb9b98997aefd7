"""RestorePod: refused, for this node has no restore of processes from a checkpoint.

FailedPrecondition and not Unimplemented: a client that asks what can be done is told what is missing, before it has
made anything of a pod.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from cri_shim.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri


def restore_pod(request: cri.RestorePodRequest) -> NoReturn:
    """Raise InvalidArgument for a path that can't be, FailedPrecondition for every other; nothing is read or made."""
    path = request.checkpoint_path
    if not os.path.isabs(path):
        raise InvalidArgument(f"checkpoint_path {path!r}: give the absolute path of a pod's checkpoint")
    raise FailedPrecondition(
        f"the pod in {path} can't be restored: this runtime writes checkpoints, but does not start containers from the "
        "CRIU images in them; run the pod anew, or restore its archives where the runtime can"
    )
