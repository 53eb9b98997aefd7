"""One run of the checks: its name, its directory on the node, its images, and the pod that checks share."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from cri_shim.smoke import directories

if TYPE_CHECKING:
    from cri_shim.api.runtime import v1 as cri
    from cri_shim.smoke.endpoint import Endpoint
    from cri_shim.smoke.image.own import OwnImages


@dataclass(frozen=True)
class Pod:
    """A pod that runs, or ran, and the config that it was asked for with."""

    id: str
    config: cri.PodSandboxConfig


@dataclass
class Session:
    """What all checks of a run have in common; `own` are its own images, None where one is named.

    `patience` is how long a call that makes something is waited for, in seconds, although its check is cut off.
    """

    endpoint: Endpoint
    run: str
    image: str
    own: OwnImages | None = None
    handler: str = ""
    patience: float = 30.0
    shared: Pod | None = None
    shared_container: str = ""
    sharing: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def directory(self) -> str:
        """The run's directory, a path of the node's."""
        return directories.of(self.run)


def new_run() -> str:
    """A name for a run."""
    return secrets.token_hex(4)
