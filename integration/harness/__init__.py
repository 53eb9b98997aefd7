"""A private node for the tests, the bench and the demo: containerd, a registry with images, networks, cri-shim.

    with demo_node() as running:
        print(running.shim_endpoint)

`node` makes the enclosure, `rootfs` and `integration.images` what is in it, `assembly` puts a whole together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from integration.harness.assembly import RunningNode


def demo_node(**options: Any) -> AbstractContextManager[RunningNode]:
    """A node with everything; the options are `integration.harness.assembly.running_node`'s."""
    from integration.harness.assembly import running_node  # noqa: PLC0415  (a node's guardian imports this package)

    return running_node(**options)
