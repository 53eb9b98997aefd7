"""Classes that annotations ask for: which one is meant, and what becomes of one that can't be had."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import resource_classes
from cri_shim.oci.container import container_spec
from cri_shim.oci.linux_spec import BlockIo, IntelRdt
from cri_shim.oci.policy import Policy
from cri_shim.oci.rdt import RdtRules
from tests.oci.node import FACTS, POD_CONFIG, FakeHost, container_input

FAST, SLOW = BlockIo(weight=500), BlockIo(weight=10)
WITH_RULES = replace(FACTS, rdt_rules=RdtRules(), blockio_classes={"fast": FAST, "slow": SLOW})
GROUPS = FakeHost(resctrl=frozenset({"gold", "silver"}))


def config(**annotations: str) -> cri.ContainerConfig:
    named = {key.replace("__", "."): value for key, value in annotations.items()}
    return cri.ContainerConfig(metadata=cri.ContainerMetadata(name="main"), annotations=named)


def own(kind: str, value: str) -> cri.ContainerConfig:
    made = config()
    made.annotations = {f"io.kubernetes.cri.{kind}-class": value}
    return made


def pods(kind: str, key: str, value: str) -> dict[str, str]:
    return {f"{kind}.resources.beta.kubernetes.io/{key}": value}


def rdt(asked, pod=None, policy=None, facts=WITH_RULES, host=GROUPS, base=None):
    return resource_classes.rdt(base, asked, pod or {}, policy or Policy(), facts, host)


def block_io(asked, pod=None, policy=None, facts=WITH_RULES, base=None):
    return resource_classes.block_io(base, asked, pod or {}, policy or Policy(), facts)


def test_nothing_asked_for_is_nothing_changed():
    base = IntelRdt(clos_id="of the base spec")
    assert rdt(config(), base=base, facts=FACTS) is base
    assert rdt(own("rdt", ""), pods("rdt", "pod", "gold"), facts=FACTS) is None, "an empty one wins, too"
    assert block_io(config(), pods("blockio", "container.other", "fast"), base=SLOW) is SLOW


def test_the_containers_annotation_wins_over_its_pods():
    pod = pods("rdt", "container.main", "silver") | pods("rdt", "pod", "bronze")
    assert rdt(own("rdt", "gold"), pod) == IntelRdt(clos_id="gold")
    assert rdt(config(), pod) == IntelRdt(clos_id="silver")
    pod = pods("blockio", "container.main", "fast") | pods("blockio", "pod", "none")
    assert block_io(own("blockio", "slow"), pod, base=FAST) is SLOW
    assert block_io(config(), pod) is FAST


def test_both_are_in_the_spec():
    asked = own("blockio", "fast")
    given = container_input(
        asked,
        facts=WITH_RULES,
        host=GROUPS,
        pod=replace(POD_CONFIG, annotations=pods("rdt", "pod", "gold")),
    )
    spec = container_spec(given)
    assert spec.linux
    assert spec.linux.resources
    assert (spec.linux.resources.block_io, spec.linux.intel_rdt) == (FAST, IntelRdt(clos_id="gold"))


def test_a_class_that_the_node_has_not_got_is_named_with_those_that_it_has():
    there = r"sandbox_config\.annotations\['rdt.resources.beta.kubernetes.io/pod'\] is 'bronze'.*there are gold, silver"
    with pytest.raises(InvalidArgument, match=there):
        rdt(config(), pods("rdt", "pod", "bronze"))
    there = r"config\.annotations\['io.kubernetes.cri.blockio-class'\] is 'none'.*there are fast, slow"
    for policy in (Policy(), Policy(ignore_blockio_not_enabled_errors=True)):
        with pytest.raises(InvalidArgument, match=there):
            block_io(own("blockio", "none"), policy=policy)
    with pytest.raises(InvalidArgument, match="there are none"):
        block_io(own("blockio", "none"), facts=replace(FACTS, blockio_classes={}))


def test_a_class_that_is_denied_to_the_annotations_of_one_may_be_asked_for_by_the_others():
    facts = replace(FACTS, rdt_rules=RdtRules(frozenset({"gold"}), frozenset({"silver"})))
    assert rdt(own("rdt", "gold"), facts=facts) == IntelRdt(clos_id="gold")
    assert rdt(config(), pods("rdt", "pod", "silver"), facts=facts) == IntelRdt(clos_id="silver")
    with pytest.raises(InvalidArgument, match="denies this class to annotations of containers"):
        rdt(own("rdt", "silver"), facts=facts)
    with pytest.raises(InvalidArgument, match="denies this class to annotations of pods"):
        rdt(config(), pods("rdt", "container.main", "gold"), facts=facts)


@pytest.mark.parametrize(
    "ask",
    [
        lambda policy: rdt(own("rdt", "gold"), policy=policy, facts=FACTS),
        lambda policy: rdt(own("rdt", "gold"), policy=policy, host=FakeHost()),
        lambda policy: block_io(own("blockio", "gold"), policy=policy, facts=FACTS),
    ],
)
def test_where_none_are_configured_one_is_refused_or_ignored_as_is_configured(ask):
    with pytest.raises(InvalidArgument, match=r"ignore_(rdt|blockio)_not_enabled_errors"):
        ask(Policy())
    assert ask(Policy(ignore_rdt_not_enabled_errors=True, ignore_blockio_not_enabled_errors=True)) is None
