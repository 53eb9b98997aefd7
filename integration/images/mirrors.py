"""hosts.toml files that lead every registry to the node's own (containerd, docs/hosts.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write(directory: Path, address: str, references: Iterable[str]) -> None:
    """One file for each host that `references` name, and `_default` for all others.

    None of them knows a server but `address`: a name that isn't there is answered with 404, and nothing waits for a
    network that there isn't.
    """
    hosts = {reference.split("/", 1)[0] for reference in references}
    for host in sorted(hosts | {"_default"}):
        (directory / host).mkdir(parents=True, exist_ok=True)
        (directory / host / "hosts.toml").write_text(
            f'server = "http://{address}"\n\n[host."http://{address}"]\n  capabilities = ["pull", "resolve"]\n'
        )
