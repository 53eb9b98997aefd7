"""ExecSync: one more process in a running container, its output and exit code; what probes are made of.

The process is a copy of the container's with other arguments. Past the timeout it is killed, with everything that it
started, and the answer is DeadlineExceeded. Its FIFOs, directory and task go with the call, however that ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from cri_shim.api.runtime import v1 as cri
from cri_shim.cri.container.exec_process import new_process, require_command
from cri_shim.errors import DeadlineExceeded

if TYPE_CHECKING:
    from cri_shim.cri.parts import Parts

OUTPUT_LIMIT = 16 << 20  # bytes of each stream that are kept


async def exec_sync(parts: Parts, request: cri.ExecSyncRequest) -> cri.ExecSyncResponse:
    """Run a command in a container and answer its exit code and output.

    Raises NotFound for no container, Unknown for one that does not run, InvalidArgument for no command,
    DeadlineExceeded past `timeout` seconds (0: none), and what the runtime reports.
    """
    container = parts.containers.find(request.container_id)
    container.require_running()
    require_command(request.cmd)
    outputs: list[bytes] = []

    with anyio.move_on_after(request.timeout if request.timeout > 0 else None):
        async with new_process(parts, container) as process:

            async def collect() -> None:
                outputs.extend(await process.io.collect(OUTPUT_LIMIT))

            exit_code = await process.run(request.cmd, collect)
            stdout, stderr = outputs
            return cri.ExecSyncResponse(stdout=stdout, stderr=stderr, exit_code=exit_code)
    raise DeadlineExceeded(
        f"command {list(request.cmd)!r:.200} timed out: timeout {request.timeout}s exceeded; it has been killed"
    )
