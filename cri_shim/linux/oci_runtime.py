"""An OCI runtime by its command line, where no shim is left to speak to.

Source: runtime-spec's `runtime.md` (delete), the command lines of runc and crun.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from cri_shim.errors import FailedPrecondition
from cri_shim.linux import process

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS: Final = 30.0  # runc itself waits 10 for processes that it has killed


@dataclass(frozen=True)
class OciRuntime:
    """A runtime: its program, the directory of its containers' states, and whether their cgroups are systemd's."""

    binary: str
    root: str
    systemd_cgroup: bool = False

    def knows(self, container_id: str) -> bool:
        """Whether the runtime has kept something of the container. Blocks for a look."""
        return os.path.isdir(os.path.join(self.root, container_id))

    async def delete(self, container_id: str) -> None:
        """End a container if it runs, and remove its cgroups, what the runtime keeps of it, and what its hooks do.

        Raises FailedPrecondition with what the runtime says.
        """
        command = await to_thread.run_sync(self._command, "delete", "--force", container_id)
        done = await process.run(command, env=dict(os.environ), timeout=_SECONDS)
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()[-500:]
            raise FailedPrecondition(f"{' '.join(command)} ended with {done.returncode}: {said}")

    def _command(self, *arguments: str) -> Sequence[str]:
        path = shutil.which(self.binary)
        if path is None:
            raise FailedPrecondition(f"there is no runtime {self.binary!r} in {os.environ.get('PATH', '')!r}")
        systemd = ["--systemd-cgroup"] if self.systemd_cgroup else []
        return [path, "--root", self.root, *systemd, *arguments]
