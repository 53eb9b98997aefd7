"""`python -m bench.codec`: the codec beside betterproto2's own and protobuf's C library (upb), on typical messages.

Each time is the median of several rounds; in each round all three do the same work in turn. The ratio is to upb.

    --rounds N    how many rounds (default 15)

upb parses into C structures and makes Python objects only of what is looked at, so that its decoding is also shown with
every field looked at, as a handler would.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import decode, encode, item
from tests.codec import upb

if TYPE_CHECKING:
    from collections.abc import Callable

    import betterproto2

LISTED = 300
MALLOC_TRIM_THRESHOLD, MALLOC_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
SLICE = 0.02
"""Seconds that one timing should last: long beside the clock's grain, short beside the machine's moods."""


@dataclass(frozen=True)
class Work:
    """The same work done by each; `others` in the table's order, None where there is no such way."""

    name: str
    ours: Callable[[], Any]
    betterproto: Callable[[], Any] | None
    upb: Callable[[], Any]


def container(number: int) -> cri.Container:
    """One as the kubelet makes them, with the labels and annotations that it puts on."""
    return cri.Container(
        id=f"{number:064x}",
        pod_sandbox_id=f"{number * 7:064x}",
        metadata=cri.ContainerMetadata(name=f"app-{number}", attempt=number % 3),
        image=cri.ImageSpec(image="sha256:" + "ab" * 32, user_specified_image="registry.k8s.io/pause:3.10"),
        image_ref="sha256:" + "ab" * 32,
        state=cri.ContainerState.CONTAINER_RUNNING,
        created_at=1_700_000_000_000_000_000 + number,
        labels=labels(number),
        annotations={
            "io.kubernetes.container.hash": "a1b2c3d4",
            "io.kubernetes.container.ports": '[{"containerPort":8080,"protocol":"TCP"}]',
            "io.kubernetes.container.restartCount": "0",
            "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
            "io.kubernetes.container.terminationMessagePolicy": "File",
            "io.kubernetes.pod.terminationGracePeriod": "30",
        },
        image_id="sha256:" + "cd" * 32,
    )


def labels(number: int) -> dict[str, str]:
    """The kubelet's labels of a container."""
    return {
        "io.kubernetes.container.name": f"app-{number}",
        "io.kubernetes.pod.name": f"web-{number}-5d4f8c7b9-x2x4z",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.uid": "3d5a1c1e-0d3c-4b5e-8f0a-1234567890ab",
    }


def run_request() -> cri.RunPodSandboxRequest:
    """A pod of a deployment, with limits and a seccomp profile."""
    options = cri.NamespaceOption(pid=cri.NamespaceMode.CONTAINER)
    security = cri.LinuxSandboxSecurityContext(
        namespace_options=options,
        supplemental_groups=[2000, 3000],
        seccomp=cri.SecurityProfile(profile_type=cri.SecurityProfileProfileType(0)),
    )
    return cri.RunPodSandboxRequest(
        config=cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name="web-5d4f8c7b9-x2x4z", uid="3d5a1c1e-0d3c", namespace="default"),
            hostname="web-5d4f8c7b9-x2x4z",
            log_directory="/var/log/pods/default_web-5d4f8c7b9-x2x4z_3d5a1c1e-0d3c",
            dns_config=cri.DnsConfig(
                servers=["10.96.0.10"],
                searches=["default.svc.cluster.local", "svc.cluster.local", "cluster.local"],
                options=["ndots:5"],
            ),
            port_mappings=[cri.PortMapping(container_port=8080)],
            labels=labels(1) | {"app": "web", "pod-template-hash": "5d4f8c7b9"},
            annotations={"kubernetes.io/config.seen": "2026-01-02T03:04:05Z", "kubernetes.io/config.source": "api"},
            linux=cri.LinuxPodSandboxConfig(
                cgroup_parent="/kubepods/burstable/pod3d5a1c1e-0d3c",
                security_context=security,
                resources=cri.LinuxContainerResources(
                    cpu_period=100_000, cpu_shares=102, memory_limit_in_bytes=1 << 27
                ),
            ),
        ),
    )


def status_response() -> cri.ContainerStatusResponse:
    """A running container with the mounts that every pod has."""
    mounts = ("/var/run/secrets/kubernetes.io/serviceaccount", "/etc/hosts", "/dev/termination-log")
    one = container(1)
    return cri.ContainerStatusResponse(
        status=cri.ContainerStatus(
            id=one.id,
            metadata=one.metadata,
            state=one.state,
            created_at=one.created_at,
            started_at=one.created_at + 50_000_000,
            image=one.image,
            image_ref=one.image_ref,
            labels=one.labels,
            annotations=one.annotations,
            mounts=[cri.Mount(container_path=path, host_path=f"/var/lib/kubelet{path}") for path in mounts],
            log_path="/var/log/pods/default_web-5d4f8c7b9-x2x4z_3d5a1c1e-0d3c/app/0.log",
            image_id=one.image_id,
        ),
    )


def look(message: Any) -> None:
    """Make every field of a upb message a Python object."""
    for _, value in message.ListFields():
        if hasattr(value, "ListFields"):
            look(value)
        elif hasattr(value, "items"):
            dict(value.items())
        elif not isinstance(value, str | bytes | int | float):
            for one in list(value):
                if hasattr(one, "ListFields"):
                    look(one)


def works() -> list[Work]:
    """All works, encoding and decoding of each message, the joined list first."""
    containers = [container(number) for number in range(LISTED)]
    listed = cri.ListContainersResponse(containers=containers)
    items = [item(1, one) for one in containers]
    theirs = upb.CLASSES[cri.ListContainersResponse].FromString(encode(listed))
    found = [Work(f"join {LISTED} cached items", lambda: b"".join(items), None, theirs.SerializeToString)]
    samples: dict[str, betterproto2.Message] = {
        f"ListContainersResponse, {LISTED}": listed,
        "RunPodSandboxRequest": run_request(),
        "ExecSyncRequest": cri.ExecSyncRequest(container_id="ab" * 32, cmd=["cat", "/tmp/healthy"], timeout=1),
        "ExecSyncResponse, 4 KiB": cri.ExecSyncResponse(stdout=bytes(4096), exit_code=0),
        "ContainerStatusResponse": status_response(),
    }
    for name, message in samples.items():
        found += works_of(name, message)
    return found


def works_of(name: str, message: betterproto2.Message) -> list[Work]:
    """Encoding and decoding of one message."""
    cls, data = type(message), encode(message)
    parse, their_parse = cls.parse, upb.CLASSES[cls].FromString
    theirs = their_parse(data)  # one that was parsed lies closer together than one that was built: the harder peer
    assert decode(cls, data) == message
    return [
        Work(f"encode {name}", lambda: encode(message), lambda: bytes(message), theirs.SerializeToString),
        Work(f"decode {name}", lambda: decode(cls, data), lambda: parse(data), lambda: their_parse(data)),
        Work(f"decode {name}, all looked at", lambda: decode(cls, data), None, lambda: look(their_parse(data))),
    ]


def keep_memory() -> None:
    """Have glibc keep what is freed: else upb spends most of a long list's encoding on fresh pages, and looks slow."""
    libc = ctypes.CDLL(None)
    for parameter, value in ((MALLOC_MMAP_THRESHOLD, 32 << 20), (MALLOC_TRIM_THRESHOLD, 1 << 30)):
        libc.mallopt(parameter, value)


def seconds(call: Callable[[], Any] | None, times: int) -> float:
    """What one call takes, on average of `times`."""
    if call is None:
        return float("nan")
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def measure(work: Work, rounds: int) -> tuple[float, ...]:
    """The medians of ours, betterproto2's and upb's seconds a call."""
    calls = (work.ours, work.betterproto, work.upb)
    times = [max(1, int(SLICE / max(seconds(call, 3), 1e-9))) if call else 0 for call in calls]
    taken = [[seconds(call, count) for call, count in zip(calls, times, strict=True)] for _ in range(rounds)]
    return tuple(statistics.median(column) for column in zip(*taken, strict=True))


def row(work: Work, rounds: int) -> str:
    """A line of the table: microseconds, then ratios to upb."""
    ours, betterproto, theirs = measure(work, rounds)
    cells = [f"{value * 1e6:.2f}" for value in (ours, betterproto, theirs)]
    cells += [f"{ours / theirs:.2f}", f"{betterproto / theirs:.1f}"]
    return f"{work.name:52}" + "".join(f"{cell.replace('nan', '-'):>14}" for cell in cells)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench.codec", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=15, help="how many rounds (default 15)")
    rounds = parser.parse_args().rounds
    keep_memory()
    heads = ("ours µs", "betterproto2", "upb µs", "ours/upb", "bp2/upb")
    sys.stdout.write(f"{'work':52}{''.join(f'{head:>14}' for head in heads)}\n")
    for work in works():
        sys.stdout.write(row(work, rounds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
