"""Option files for critest and for containerd's cri-integration, and a critest whose one fixed digest is ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from integration.harness.errors import HarnessError
from integration.images.catalog import BENCHMARKED, CONTAINERD, CRITEST_BY_DIGEST, E2E

if TYPE_CHECKING:
    from pathlib import Path

    from integration.images.store import Store

_BENCHMARK: Final = f"""containersNumber: 20
containersNumberParallel: 2
containerBenchmarkTimeoutSeconds: 60
podsNumber: 10
podsNumberParallel: 2
podBenchmarkTimeoutSeconds: 60
podContainerStartBenchmarkTimeoutSeconds: 60
imagesNumber: 10
imagesNumberParallel: 1
imageBenchmarkTimeoutSeconds: 60
imagePullingBenchmarkImage: {BENCHMARKED[0]}
imageListingBenchmarkImages:
"""


def write_options(directory: Path, store: Store) -> None:
    """Write the files that name our images.

    `test-images.yaml` is critest's -test-images-file, `benchmark.yaml` its -benchmarking-params-file (without it the
    benchmarks skip), `cri-integration.toml` cri-integration's -image-list.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "test-images.yaml").write_text(
        f"defaultTestContainerImage: {E2E}busybox:1.29-2\nwebServerTestImage: {E2E}nginx:1.14-2\n"
    )
    (directory / "benchmark.yaml").write_text(_BENCHMARK + "".join(f"  - {name}\n" for name in BENCHMARKED))
    (directory / "cri-integration.toml").write_text(
        f'Alpine = "{CONTAINERD}alpine:3.14.0"\n'
        f'BusyBox = "{CONTAINERD}busybox:1.36"\n'
        f'BusyBoxByDigest = "{CONTAINERD}busybox@{store.tags[CONTAINERD + "busybox:1.36"]}"\n'
        'Pause = "registry.k8s.io/pause:3.10"\n'
        f'ResourceConsumer = "{E2E}resource-consumer:1.10"\n'
        f'VolumeCopyUp = "{CONTAINERD}volume-copy-up:2.2"\n'
        f'VolumeOwnership = "{CONTAINERD}volume-ownership:2.1"\n'
        f'Nginx = "{CONTAINERD}nginx:1.27.0"\n'
    )


def retarget(binary: Path, copy: Path, digest: str) -> None:
    """Copy a critest binary, the digest that it pulls an image by replaced with `digest`, our image's.

    critest has no option for it, and no content of ours can have the digest of the original.
    """
    data = binary.read_bytes()
    found = re.search(re.escape(f"{CRITEST_BY_DIGEST}@sha256:".encode()) + rb"([0-9a-f]{64})", data)
    if not found:
        raise HarnessError(f"{binary} does not name {CRITEST_BY_DIGEST} by a digest: is it critest?")
    copy.write_bytes(data.replace(found[1], digest.removeprefix("sha256:").encode()))
    copy.chmod(0o755)
