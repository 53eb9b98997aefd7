"""Classes that annotations ask for: which one is meant, and what becomes of one that can't be had."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.linux_spec import IntelRdt
from cri_shim.oci.policy import Policy
from cri_shim.oci.resource_classes import check_blockio_class, rdt
from tests.oci.node import FACTS

WITH_CLASSES = replace(FACTS, rdt_classes=frozenset({"gold", "silver"}))


def config(**annotations: str) -> cri.ContainerConfig:
    named = {key.replace("__", "."): value for key, value in annotations.items()}
    return cri.ContainerConfig(metadata=cri.ContainerMetadata(name="main"), annotations=named)


def own(kind: str, value: str) -> cri.ContainerConfig:
    made = config()
    made.annotations = {f"io.kubernetes.cri.{kind}-class": value}
    return made


def pods(kind: str, key: str, value: str) -> dict[str, str]:
    return {f"{kind}.resources.beta.kubernetes.io/{key}": value}


def test_nothing_asked_for_is_nothing_changed():
    base = IntelRdt(clos_id="of the base spec")
    assert rdt(base, config(), {}, Policy(), FACTS) is base
    assert rdt(None, own("rdt", ""), pods("rdt", "pod", "gold"), Policy(), FACTS) is None, "an empty one wins, too"
    check_blockio_class(config(), pods("blockio", "container.other", "fast"), Policy())


def test_the_containers_annotation_wins_over_its_pods():
    pod = pods("rdt", "container.main", "silver") | pods("rdt", "pod", "bronze")
    assert rdt(None, own("rdt", "gold"), pod, Policy(), WITH_CLASSES) == IntelRdt(clos_id="gold")
    assert rdt(None, config(), pod, Policy(), WITH_CLASSES) == IntelRdt(clos_id="silver")


def test_a_class_that_the_node_has_not_got_is_named_with_those_that_it_has():
    with pytest.raises(InvalidArgument, match="'bronze' of container 'main' is not on this node: it has gold, silver"):
        rdt(None, config(), pods("rdt", "pod", "bronze"), Policy(), WITH_CLASSES)


@pytest.mark.parametrize("kind", ["rdt", "blockio"])
def test_without_classes_one_is_refused_or_ignored_as_is_configured(kind):
    def ask(policy: Policy) -> None:
        if kind == "rdt":
            assert rdt(None, own("rdt", "gold"), {}, policy, FACTS) is None
        else:
            check_blockio_class(own("blockio", "gold"), {}, policy)

    with pytest.raises(InvalidArgument, match=f"ignore_{kind}_not_enabled_errors"):
        ask(Policy())
    ask(Policy(ignore_rdt_not_enabled_errors=True, ignore_blockio_not_enabled_errors=True))
