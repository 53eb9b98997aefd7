"""containerd's own client through cri-shim beside containerd's own socket: what the hop in front of it costs.

python -m bench.drop_in --rounds 7

The same commands at both sockets of one containerd, interleaved, with an image of 100 MB. `--local` has ctr move the
content itself, over the socket; without it containerd does (the Transfer service), and streams go over the socket.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from bench.figures import MILLISECONDS, Row, table
from bench.pulls import large_image
from integration.harness import demo_node
from integration.harness.containerd import MAIN
from integration.harness.shim import SOCKET

if TYPE_CHECKING:
    from integration.harness.node import Node

MEGABYTES = 100
NAMESPACE = "bench"  # of which no CRI server knows: it would go on referring to what is removed
HOSTS = ("--hosts-dir", "/etc/containerd/certs.d")
ARCHIVE = "/tmp/image.tar"
WRITTEN = "/tmp/written.tar"
PATIENCE = 300


def works(image: str) -> dict[str, tuple[str, ...]]:
    """The arguments of ctr, by what a row is called."""
    loaded = ("--all-platforms", "--digests", "--snapshotter=overlayfs", ARCHIVE)
    return {
        "version": ("version",),
        "images pull": ("images", "pull", *HOSTS, image),
        "images pull --local": ("images", "pull", "--local", *HOSTS, image),
        "images import (kind load)": ("images", "import", *loaded),
        "images import --local": ("images", "import", "--local", *loaded),
        "images export": ("images", "export", WRITTEN, image),
        "images export --local": ("images", "export", "--local", WRITTEN, image),
    }


def ctr(node: Node, socket: str, *arguments: str) -> float:
    """Run ctr; returns how long it took, in milliseconds."""
    begin = time.monotonic()
    node.run(["ctr", "--address", socket, "--namespace", NAMESPACE, *arguments], timeout=PATIENCE)
    return (time.monotonic() - begin) * 1000


def measure(node: Node, image: str, rounds: int) -> list[Row]:
    """All rows; whichever brings the image in finds it gone."""
    rows = []
    for name, arguments in works(image).items():
        taken: dict[str, list[float]] = {SOCKET: [], MAIN.socket: []}
        for number in range(rounds):
            for socket in (SOCKET, MAIN.socket) if number % 2 else (MAIN.socket, SOCKET):
                if "pull" in name or "import" in name:
                    ctr(node, MAIN.socket, "images", "rm", "--sync", image)
                taken[socket].append(ctr(node, socket, *arguments))
        rows.append(Row(f"ctr {name}", MILLISECONDS, tuple(taken[SOCKET]), tuple(taken[MAIN.socket])))
    return rows


def main() -> None:
    """As the module says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with demo_node() as running:
        assert running.shim
        configuration = running.node.path(MAIN.config)
        configuration.write_text(f"{configuration.read_text()}\n[plugins.'io.cri-shim.v1']\n  pass_through = true\n")
        running.shim.daemon.restart()
        image = large_image(MEGABYTES)
        running.registry.publish([image])
        (name,) = image.names
        ctr(running.node, MAIN.socket, "images", "pull", *HOSTS, name)
        ctr(running.node, MAIN.socket, "images", "export", "--local", ARCHIVE, name)
        print(table(measure(running.node, name, rounds)))


if __name__ == "__main__":
    main()
