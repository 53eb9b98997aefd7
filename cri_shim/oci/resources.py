"""Resource limits: from the CRI into a spec, and back for the status.

Zero stands for unset. Nothing is translated between cgroup versions here; the runtime does that.
Source: containerd `internal/cri/opts/spec_linux_opts.go` (`WithResources`), `internal/cri/server/helpers.go`
(`copyResourcesToStatus`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.fields import RESOURCES
from cri_shim.oci.linux_spec import Cpu, HugepageLimit, Linux, Memory, Resources

if TYPE_CHECKING:
    from cri_shim.oci.facts import NodeFacts
    from cri_shim.oci.policy import Policy
    from cri_shim.oci.spec import Spec


def applied(base: Resources, wanted: cri.LinuxContainerResources | None, policy: Policy, facts: NodeFacts) -> Resources:
    """`base` with the limits that `wanted` sets; InvalidArgument for huge pages that the node can't limit."""
    if policy.disable_hugetlb_controller:
        base = msgspec.structs.replace(base, hugepage_limits=[])  # a handler's base spec may have some
    if wanted is None:
        return base
    return msgspec.structs.replace(
        base,
        cpu=_cpu(base.cpu or Cpu(), wanted),
        memory=_memory(base.memory or Memory(), wanted, facts),
        hugepage_limits=_hugepages(base.hugepage_limits, wanted, policy, facts),
        unified={**base.unified, **wanted.unified},
    )


def updated(spec: Spec, wanted: cri.LinuxContainerResources | None, policy: Policy, facts: NodeFacts) -> Spec:
    """A container's spec after UpdateContainerResources; the OOM score stays. Raises what `applied` does."""
    linux = spec.linux or Linux()
    limits = applied(linux.resources or Resources(), wanted, policy, facts)
    return msgspec.structs.replace(spec, linux=msgspec.structs.replace(linux, resources=limits))


def with_resources(document: bytes, spec: Spec) -> bytes:
    """A stored spec with the limits of `spec`, all else as it is, also what we know nothing of."""
    stored = msgspec.json.decode(document, type=dict[str, msgspec.Raw])
    linux = msgspec.json.decode(stored.get("linux", b"{}"), type=dict[str, msgspec.Raw])
    limits = (spec.linux or Linux()).resources or Resources()
    linux["resources"] = msgspec.Raw(msgspec.json.encode(limits))
    stored["linux"] = msgspec.Raw(msgspec.json.encode(linux))
    return msgspec.json.encode(stored)


def _cpu(base: Cpu, wanted: cri.LinuxContainerResources) -> Cpu:
    return msgspec.structs.replace(
        base,
        period=wanted.cpu_period or base.period,
        quota=wanted.cpu_quota or base.quota,
        shares=wanted.cpu_shares or base.shares,
        cpus=wanted.cpuset_cpus or base.cpus,
        mems=wanted.cpuset_mems or base.mems,
    )


def _memory(base: Memory, wanted: cri.LinuxContainerResources, facts: NodeFacts) -> Memory:
    """Without a swap limit a memory limit allows no swap: the runtime's limit is of both together."""
    limit = wanted.memory_limit_in_bytes
    swap = (wanted.memory_swap_limit_in_bytes or limit) if facts.swap_controller else 0
    return msgspec.structs.replace(base, limit=limit or base.limit, swap=swap or base.swap)


def _hugepages(
    base: list[HugepageLimit], wanted: cri.LinuxContainerResources, policy: Policy, facts: NodeFacts
) -> list[HugepageLimit]:
    if policy.disable_hugetlb_controller or not wanted.hugepage_limits:
        return base
    if not facts.hugetlb_controller:
        if policy.tolerate_missing_hugetlb_controller:
            return base
        raise InvalidArgument(
            f"{RESOURCES}.hugepage_limits can't be set: the node has no hugetlb cgroup controller "
            "(tolerate_missing_hugetlb_controller ignores them)"
        )
    limits = {item.page_size: item for item in base}
    limits.update({item.page_size: HugepageLimit(item.page_size, item.limit) for item in wanted.hugepage_limits})
    return list(limits.values())


def resources_of(spec: Spec) -> cri.ContainerResources:
    """The limits of a spec as the status tells them."""
    linux = spec.linux or Linux()
    resources = linux.resources or Resources()
    cpu, memory = resources.cpu or Cpu(), resources.memory or Memory()
    return cri.ContainerResources(
        linux=cri.LinuxContainerResources(
            cpu_period=cpu.period or 0,
            cpu_quota=cpu.quota or 0,
            cpu_shares=cpu.shares or 0,
            cpuset_cpus=cpu.cpus,
            cpuset_mems=cpu.mems,
            memory_limit_in_bytes=memory.limit or 0,
            memory_swap_limit_in_bytes=memory.swap or 0,
            oom_score_adj=(spec.process.oom_score_adj or 0) if spec.process else 0,
            hugepage_limits=[
                cri.HugepageLimit(page_size=item.page_size, limit=item.limit) for item in resources.hugepage_limits
            ],
            unified=dict(resources.unified),
        )
    )
