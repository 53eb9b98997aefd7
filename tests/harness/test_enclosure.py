"""The plan of a node travels whole, and cgroup hierarchies are read as they are mounted."""

from __future__ import annotations

from integration.harness.enclosure.plan import Bind, Hierarchy, Plan, dumps, loads


def test_a_plan_arrives_as_it_was_sent_on_one_line() -> None:
    plan = Plan(
        name="node-1",
        scratch="/cache/nodes/node-1",
        layers=("/cache/b", "/cache/a"),
        hierarchies=(Hierarchy("/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu/own", unified=False, options="cpu"),),
        upper="/cache/upper",
        binds=(Bind("/src", "/dst\n", readonly=False),),
        disks=("/var/lib/containerd",),
        own_network=False,
    )
    assert "\n" not in dumps(plan)
    assert loads(dumps(plan)) == plan
