"""What a container may use."""

from __future__ import annotations

from cri_shim.api.runtime import v1 as cri
from integration.differential.case import BASED, Context, Resources, case, pod

MIB = 1 << 20
BURSTABLE = pod(linux={"cgroup_parent": "/kubepods/burstable/pod1", "sysctls": {"net.ipv4.ip_forward": "1"}})
HUGE = cri.HugepageLimit(page_size="2MB", limit=4 * MIB)

LIMITED = Resources(
    cpu_period=100_000,
    cpu_quota=50_000,
    cpu_shares=512,
    memory_limit_in_bytes=64 * MIB,
    oom_score_adj=7,
    cpuset_cpus="0",
    unified={"memory.high": "67108864"},
)
OTHER = Resources(
    cpu_period=50_000,
    cpu_quota=-1,
    cpu_shares=1024,
    memory_limit_in_bytes=128 * MIB,
    memory_swap_limit_in_bytes=256 * MIB,
    oom_score_adj=9,
    cpuset_cpus="0-1",
    cpuset_mems="0",
    hugepage_limits=[HUGE],
    unified={"memory.high": "33554432", "cpu.weight": "7"},
)

CLASSED = pod(fields={"annotations": {"blockio.resources.beta.kubernetes.io/pod": "fast"}})
CACHED = pod(fields={"annotations": {"rdt.resources.beta.kubernetes.io/pod": "gold"}})

CASES = (
    case("a class of block I/O", annotations={"io.kubernetes.cri.blockio-class": "fast"}),
    case("a class of block I/O, the pod's", pod=CLASSED),
    case(
        "no class of block I/O, whatever the pod's",
        annotations={"io.kubernetes.cri.blockio-class": ""},
        pod=CLASSED,
    ),
    *(
        case(f"the class of block I/O {name!r}", annotations={"io.kubernetes.cri.blockio-class": name})
        for name in ("empty", "nothing", "none such")
    ),
    case(
        "a class of block I/O and a base spec",
        annotations={"io.kubernetes.cri.blockio-class": "fast"},
        pod=BASED,
    ),
    case("a class of cache", annotations={"io.kubernetes.cri.rdt-class": "gold"}),
    case("a class of cache, the pod's", pod=CACHED),
    case("resources that say nothing", resources=Resources()),
    case("a cpu period", resources=Resources(cpu_period=50_000)),
    case("a cpu quota", resources=Resources(cpu_quota=50_000)),
    case("no cpu quota", resources=Resources(cpu_quota=-1)),
    case("cpu shares", resources=Resources(cpu_shares=512)),
    case("cpus", resources=Resources(cpuset_cpus="0")),
    case("memory nodes", resources=Resources(cpuset_mems="0")),
    case("memory", resources=Resources(memory_limit_in_bytes=64 * MIB)),
    case("no limit of memory", resources=Resources(memory_limit_in_bytes=-1)),
    case("swap", resources=Resources(memory_swap_limit_in_bytes=128 * MIB)),
    case("memory and swap", resources=Resources(memory_limit_in_bytes=64 * MIB, memory_swap_limit_in_bytes=128 * MIB)),
    case("an OOM score", resources=Resources(oom_score_adj=900)),
    case("an OOM score below 0", resources=Resources(oom_score_adj=-5)),
    case("an OOM score below all", resources=Resources(oom_score_adj=-1000)),
    case("an OOM score that there isn't", resources=Resources(oom_score_adj=2000)),
    case("huge pages", resources=Resources(hugepage_limits=[HUGE])),
    case("unified", resources=Resources(unified={"memory.high": "67108864", "cpu.weight": "5"})),
    case("unified that there isn't", resources=Resources(unified={"no.such": "1"})),
    case(
        "everything",
        Context(no_new_privs=True),
        Resources(
            cpu_period=100_000,
            cpu_quota=50_000,
            cpu_shares=512,
            memory_limit_in_bytes=64 * MIB,
            memory_swap_limit_in_bytes=128 * MIB,
            oom_score_adj=7,
            cpuset_cpus="0",
            cpuset_mems="0",
            hugepage_limits=[HUGE],
            unified={"memory.high": "67108864"},
        ),
    ),
    # ── updates, of a container that hasn't been started ────────────────────────────────────────────────────────────
    case("an update that says nothing", resources=LIMITED, update=Resources()),
    case("an update of everything", resources=LIMITED, update=OTHER),
    case("an update of everything where nothing was said", update=OTHER),
    case("an update of memory alone", resources=LIMITED, update=Resources(memory_limit_in_bytes=32 * MIB)),
    case("an update of swap alone", resources=LIMITED, update=Resources(memory_swap_limit_in_bytes=256 * MIB)),
    case("an update of the OOM score", resources=LIMITED, update=Resources(oom_score_adj=11)),
    case("an update of unified", resources=LIMITED, update=Resources(unified={"memory.high": "1", "memory.low": "2"})),
    case("an update of a base spec", update=Resources(cpu_quota=5000, hugepage_limits=[HUGE]), pod=BASED),
    case("a cgroup parent", resources=Resources(cpu_shares=512, memory_limit_in_bytes=64 * MIB), pod=BURSTABLE),
)
