"""The machine whose root is the built kind node image, booted by the image's own systemd; the kernel is the guest's.

A node of kind's has modules and devices from the machine that it runs on: here the modules come into its root, and the
initial RAM disk finds that. Besides them it gets what kind brings when it makes a cluster (the network), and the check.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Final

from integration.guest import disks
from integration.guest.work import SOURCE, STEPS
from integration.harness import rootfs
from integration.harness.guardian import PROJECT
from integration.images import build
from integration.images.archive import archive
from integration.images.store import Store
from integration.kind_node import booted, images
from integration.kind_node.network import NETWORK
from integration.kubelet import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from integration.guest.work import Step

# It has no /sbin/init; with `systemd.run` alone it would boot into nothing else; it has no udev to tell of a terminal.
WORDS: Final = (
    "init=/usr/lib/systemd/systemd",
    "systemd.wants=multi-user.target",
    "systemd.mask=serial-getty@ttyS0.service",
)
COMMAND: Final = f"/usr/bin/env PYTHONPATH={SOURCE} {rootfs.PYTHON}/bin/python3 -m integration.guest.inside --bare"

_SIZE: Final = 4 << 30  # what isn't written takes no space on the host


def boot(directory: Path, steps: Sequence[Step]) -> disks.Boot:
    """Build the image, and a disk in `directory` from it. Raises `HarnessError` when the machine can't."""
    kernel = disks.kernel()
    image = directory / "kind-node.ext4"
    with images.store() as store, store.shown(store.build("kind-node", {})) as root:
        shutil.copytree(kernel.modules, root / "usr/lib/modules", symlinks=True, dirs_exist_ok=True)
        (root / "etc/cni/net.d/10-kindnet.conflist").write_text(json.dumps(NETWORK))
        source = root / SOURCE.lstrip("/")
        shutil.copytree(PROJECT / "integration", source / "integration", ignore=shutil.ignore_patterns("__pycache__"))
        (source / STEPS).write_text(json.dumps([step.to_json() for step in steps]))
        if crictl := shutil.which("crictl"):  # as kind's image has it
            shutil.copy(crictl, root / "usr/local/bin/crictl")
        made = archive(Store(build.images(rootfs.debian())), [booted.PAUSE, BUSYBOX])
        (root / booted.IMAGES.lstrip("/")).write_bytes(made)
        disks.make("root", root, image, _SIZE)
    return disks.Boot(kernel.image, kernel.initrd, (disks.Disk("root", image, "/"),))
