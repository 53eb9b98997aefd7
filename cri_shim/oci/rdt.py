"""What an operator's file of RDT classes says of who may ask for them; the classes themselves containerd makes.

Source: goresctrl `pkg/rdt` (`config.go`, `kubernetes.go`), whose file containerd's tasks service reads and applies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cri_shim.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class RdtRules:
    """The classes that a pod's annotations, and those that a container's, may not ask for."""

    not_for_pods: frozenset[str] = frozenset()
    not_for_containers: frozenset[str] = frozenset()


def parse(document: object) -> RdtRules:
    """The rules in a document of plain values. Raises InvalidArgument for what is no table where one must be."""
    classes = list(_classes(document))
    return RdtRules(
        frozenset(name for name, rules in classes if rules.get("denypodannotation") is True),
        frozenset(name for name, rules in classes if rules.get("denycontainerannotation") is True),
    )


def _classes(document: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    partitions = _table(_keyed(document, "the document").get("partitions"), "partitions")
    for partition, content in partitions.items():
        where = f"partitions.{partition}"
        classes = _table(_keyed(content, where).get("classes"), f"{where}.classes")
        for name, settings in classes.items():
            rules = _keyed(settings, f"{where}.classes.{name}").get("kubernetes")
            yield name, _keyed(rules, f"{where}.classes.{name}.kubernetes")


def _keyed(value: object, where: str) -> dict[str, object]:
    """A table with keys without regard to case, as Go matches them."""
    return {key.lower(): below for key, below in _table(value, where).items()}


def _table(value: object, where: str) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgument(f"{where} is {value!r:.80}: it must be a table")
    return {str(key): below for key, below in value.items()}
