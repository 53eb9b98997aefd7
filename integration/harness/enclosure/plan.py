"""What an enclosure is made from, as it travels to the guardian: one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Bind:
    """A file or directory of the host's, seen in the node at `target`."""

    source: str
    target: str
    readonly: bool = True


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy of the host's: v1 has one or more controllers in each, v2 is alone.

    `own` is the directory on the host of the group that the harness is in: the node's groups go below it.
    """

    mountpoint: str
    own: str
    unified: bool
    options: str


@dataclass(frozen=True)
class Plan:
    """A node to be: `layers` of its root with the topmost first, `upper` for what is written (none: in `scratch`)."""

    name: str
    scratch: str
    layers: tuple[str, ...]
    hierarchies: tuple[Hierarchy, ...]
    upper: str = ""
    binds: tuple[Bind, ...] = ()
    disks: tuple[str, ...] = ()
    own_network: bool = True

    @property
    def group(self) -> str:
        """The name of the node's cgroup in each hierarchy."""
        return f"cri-shim-{self.name}"


def dumps(plan: Plan) -> str:
    """The plan as one line."""
    return json.dumps(asdict(plan))


def loads(line: str) -> Plan:
    """The plan of a line that `dumps` made."""
    fields = json.loads(line)
    return Plan(
        **{
            **fields,
            "layers": tuple(fields["layers"]),
            "disks": tuple(fields["disks"]),
            "hierarchies": tuple(Hierarchy(**one) for one in fields["hierarchies"]),
            "binds": tuple(Bind(**one) for one in fields["binds"]),
        }
    )
