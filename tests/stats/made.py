"""Cgroup files as kernels write them, made up but for their form."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PRESSURE = """\
some avg10=1.53 avg60=0.87 avg300=0.12 total=157656722
full avg10=0.25 avg60=0.00 avg300=0.00 total=21435
"""

UNIFIED = {
    "cgroup.procs": "4711\n4712\n",
    "cpu.stat": (
        "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnice_usec 0\nnr_periods 50\nnr_throttled 7\n"
        "throttled_usec 345678\nnr_bursts 0\nburst_usec 0\n"
    ),
    "cpu.max": "50000 100000\n",
    "cpu.weight": "79\n",
    "cpu.pressure": PRESSURE,
    "memory.current": "20971520\n",
    "memory.max": "67108864\n",
    "memory.peak": "31457280\n",
    "memory.low": "0\n",
    "memory.stat": (
        "anon 8388608\nfile 12582912\nkernel 524288\nkernel_stack 16384\npagetables 65536\nfile_mapped 4096\n"
        "inactive_file 5242880\nactive_file 7340032\npgfault 4321\npgmajfault 21\n"
    ),
    "memory.events": "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n",
    "memory.swap.current": "1048576\n",
    "memory.swap.max": "max\n",
    "memory.pressure": PRESSURE,
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n253:1 \n",
    "io.pressure": PRESSURE,
    "pids.current": "5\n",
    "pids.max": "100\n",
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.max": "max\n",
}

SPLIT = {
    "cpuacct/cpuacct.usage": "25141773\n",
    "cpuacct/cpuacct.stat": "user 200\nsystem 100\n",
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 3\nthrottled_time 5000000000\n",
    "cpu/cpu.cfs_quota_us": "-1\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "cpu/cpu.shares": "1024\n",
    "memory/cgroup.procs": "4711\n",
    "memory/memory.usage_in_bytes": "20971520\n",
    "memory/memory.limit_in_bytes": "67108864\n",
    "memory/memory.soft_limit_in_bytes": "9223372036854771712\n",
    "memory/memory.max_usage_in_bytes": "31457280\n",
    "memory/memory.failcnt": "12\n",
    "memory/memory.kmem.usage_in_bytes": "524288\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory/memory.stat": (
        "cache 1\nrss 2\nhierarchical_memory_limit 67108864\nhierarchical_memsw_limit 134217728\n"
        "total_cache 12582912\ntotal_rss 8388608\ntotal_mapped_file 4096\ntotal_swap 1048576\ntotal_pgfault 4321\n"
        "total_pgmajfault 21\ntotal_inactive_file 5242880\ntotal_active_file 7340032\n"
    ),
    "pids/pids.current": "5\n",
    "pids/pids.max": "max\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 0\nTotal 12288\n",
    "blkio/blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
    "hugetlb/hugetlb.2MB.usage_in_bytes": "2097152\n",
    "hugetlb/hugetlb.2MB.max_usage_in_bytes": "4194304\n",
}


def write(directory: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
