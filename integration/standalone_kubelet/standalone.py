"""A kubelet without an API server: it runs the pods whose manifests lie in a directory, and tells of them over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from integration.harness.daemon import Daemon
from integration.harness.errors import HarnessError
from integration.standalone_kubelet import credentials
from integration.standalone_kubelet.answers import PodList, PodStatus, Summary
from integration.standalone_kubelet.http_client import HttpClient, HttpError
from integration.standalone_kubelet.manifest import NAMESPACE, manifest
from integration.standalone_kubelet.runtime_view import running_pods

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from integration.harness.node import Node
    from integration.standalone_kubelet.manifest import Pod

BINARY: Final = "/usr/local/bin/kubelet"
ROOT: Final = "/var/lib/kubelet"
POD_LOGS: Final = "/var/log/pods"
NODE_NAME: Final = "node"
ADDRESS: Final = "10.188.0.1"
PORT, READ_ONLY_PORT = 10250, 10255
_MANIFESTS: Final = "/etc/kubernetes/manifests"
_CONFIG: Final = "/etc/kubernetes/kubelet.json"
_POLL: Final = 0.1
# What a kubelet sets in the kernel (its container_manager_linux.go). These are the machine's, not the node's: it is
# shown files that say what it wants to read, in a mount namespace that nobody else sees them in.
_TUNABLES: Final = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1}
_SHOWN: Final = "/run/kubelet-tunables"
_UNDER_TUNABLES: Final = (
    f"mount --make-private /proc && cd {_SHOWN} && "
    'for file in */*; do mount --bind "$file" "/proc/sys/$file" || exit; done && cd / && exec "$@"'
)

T = TypeVar("T")


def find() -> Path | None:
    """The kubelet to test with: $KUBELET's, or the one on PATH, or None. Raises `HarnessError` if $KUBELET is none."""
    if named := os.environ.get("KUBELET"):
        if not Path(named).is_file():
            raise HarnessError(f"no kubelet at {named}", remedy="export KUBELET=FILE")
        return Path(named).resolve()
    found = shutil.which("kubelet")
    return Path(found).resolve() if found else None


@dataclass
class StandaloneKubelet:
    """The kubelet of one node, and what it answers. `containerd` is the socket under the CRI socket `endpoint`."""

    node: Node
    endpoint: str
    containerd: str
    daemon: Daemon = field(init=False)

    def __post_init__(self) -> None:
        self._read_only = HttpClient(self.node, READ_ONLY_PORT)
        self._full = HttpClient(self.node, PORT, tls=True)
        self.node.path(_MANIFESTS).mkdir(parents=True, exist_ok=True)
        for name, value in _TUNABLES.items():
            self.node.write(f"{_SHOWN}/{name}", f"{value}\n")
        self._network()
        credentials.write(self.node)
        self.configure()
        kubelet = [BINARY, "--config", _CONFIG, "--root-dir", ROOT, "--hostname-override", NODE_NAME]
        kubelet += ["--node-ip", ADDRESS, "--containerd", self.containerd, "--v", "4", *credentials.FLAGS]
        argv = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _UNDER_TUNABLES, "sh", *kubelet]
        self.daemon = Daemon(self.node, argv, "/var/log/kubelet.log", self._answers)

    def configure(self, **changes: object) -> None:
        """Write its configuration, which it reads when it starts next; `changes` are to its top-level keys."""
        self.node.write(_CONFIG, json.dumps({**_settings(self.endpoint), **changes}, indent=1))

    # ── pods ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, pod: Pod) -> None:
        """Hand it a manifest, or one that has changed."""
        hidden, path = self._manifest(f".{pod.name}"), self._manifest(pod.name)
        hidden.write_text(manifest(pod))
        hidden.rename(path)

    def remove(self, name: str) -> None:
        """Take a manifest away: the pod is to end."""
        self._manifest(name).unlink()

    def pods(self) -> dict[str, PodStatus]:
        """What it says of its pods, by the names in their manifests."""
        found = msgspec.json.decode(self._read_only.get("/pods"), type=PodList).items or ()
        return {pod.metadata.name.removesuffix(f"-{NODE_NAME}"): pod.status for pod in found}

    def uid(self, name: str) -> str:
        """A pod's uid."""
        found = msgspec.json.decode(self._read_only.get("/pods"), type=PodList).items or ()
        return next(pod.metadata.uid for pod in found if pod.metadata.name == full_name(name))

    def until(self, name: str, holds: Callable[[PodStatus], object], seconds: float = 60) -> PodStatus:
        """A pod's status once `holds` is true of it; fails with the last one after `seconds`."""
        last: PodStatus | None = None

        def look() -> PodStatus | None:
            nonlocal last
            last = self.pods().get(name)
            try:
                return last if last and holds(last) else None
            except KeyError:  # a container that it has no status of yet
                return None

        return eventually(look, seconds, lambda: f"{name} is {last}")

    def ready(self, name: str, seconds: float = 60) -> PodStatus:
        """A pod's status once it is ready."""
        return self.until(name, lambda status: status.condition("Ready"), seconds)

    def runs(self, pod: Pod, seconds: float = 60) -> PodStatus:
        """Hand it a manifest; the pod's status once it is ready."""
        self.run(pod)
        return self.ready(pod.name, seconds)

    def gone(self, name: str, seconds: float = 60) -> None:
        """Wait until nothing of a pod runs that was taken away; its containers are removed later."""
        eventually(lambda: name not in self.running() or None, seconds, lambda: f"{name} still runs")

    def running(self) -> set[str]:
        """The pods that it knows of, and those that the runtime runs, by the names in their manifests."""
        running = running_pods(self.node.path(self.endpoint))
        return {name.removesuffix(f"-{NODE_NAME}") for name in running} | self.pods().keys()

    # ── what it serves besides ──────────────────────────────────────────────────────────────────────────────────────

    def sh(self, name: str, command: str, container: str = "main") -> str:
        """What a command, words with single spaces between them, says in a container. Raises `HttpError`."""
        path = f"/run/{NAMESPACE}/{full_name(name)}/{container}?{urlencode({'cmd': command})}"
        return self._full.request("POST", path).decode()

    def log(self, name: str, container: str = "main", **options: str) -> str:
        """A container's log, as `kubectl logs` shows it."""
        query = f"?{urlencode(options)}" if options else ""
        return self._full.get(f"/containerLogs/{NAMESPACE}/{full_name(name)}/{container}{query}").decode()

    def summary(self) -> Summary:
        """What is used on the node."""
        return msgspec.json.decode(self._read_only.get("/stats/summary"), type=Summary)

    def metrics(self, path: str) -> str:
        """Metrics, in Prometheus' text format."""
        return self._read_only.get(path).decode()

    def post(self, path: str) -> bytes:
        """The answer to a POST on the port that may change things."""
        return self._full.request("POST", path)

    def streaming_url(self, verb: str, name: str, container: str = "main", **query: object) -> str:
        """Where `exec`, `attach` and `portForward` are asked for."""
        where = [NAMESPACE, full_name(name), *([container] if container else [])]
        return f"https://127.0.0.1:{PORT}/{verb}/{'/'.join(map(quote, where))}?{urlencode(query, doseq=True)}"

    # ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def log_directory(self, name: str, container: str = "main") -> Path:
        """Where a container's log files are, as seen from here."""
        return self.node.path(f"{POD_LOGS}/{NAMESPACE}_{full_name(name)}_{self.uid(name)}/{container}")

    def names(self) -> list[str]:
        """The manifests that it has."""
        return [path.stem for path in self.node.path(_MANIFESTS).glob("[!.]*.json")]

    def _manifest(self, name: str) -> Path:
        return self.node.path(_MANIFESTS) / f"{name}.json"

    def _network(self) -> None:
        """Give the node an address and a default route: a kubelet takes the one for its own that the other goes by."""
        for command in (
            "ip link add node0 type bridge",
            f"ip address add {ADDRESS}/24 dev node0",
            "ip link set node0 up",
            "ip route add default via 10.188.0.2 dev node0",
        ):
            self.node.run(command.split())

    def _answers(self) -> bool:
        try:
            return self._read_only.get("/healthz") == b"ok" and self.pods() is not None
        except (OSError, HttpError):
            return False


def full_name(name: str) -> str:
    """What the pod of a manifest is called: the node's name is added."""
    return f"{name}-{NODE_NAME}"


def eventually(look: Callable[[], T | None], seconds: float, message: Callable[[], str] = str) -> T:
    """The first of the results of `look` that is not None; fails after `seconds`. A kubelet away is waited for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if (found := look()) is not None:
                return found
        except OSError:  # it is being started
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s, {message()}")
        time.sleep(_POLL)


def _settings(endpoint: str) -> Mapping[str, object]:
    """Its configuration (KubeletConfiguration v1beta1): defaults, but where they would take minutes."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{endpoint}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "port": PORT,
        "readOnlyPort": READ_ONLY_PORT,
        "staticPodPath": _MANIFESTS,
        "fileCheckFrequency": "1s",
        "syncFrequency": "10s",
        "crashLoopBackOff": {"maxContainerRestartPeriod": "2s"},
        "containerLogMaxSize": "64Ki",
        "containerLogMaxFiles": 3,
        "containerLogMonitorInterval": "3s",
        "imageMinimumGCAge": "1s",
        "imageGCHighThresholdPercent": 100,
        "registryPullQPS": 0,
        "serializeImagePulls": False,
        "evictionHard": {"memory.available": "10Mi"},  # a full disk of the machine's is not what is tested
        "evictionPressureTransitionPeriod": "1s",
        "volumeStatsAggPeriod": "5s",
        "maxPods": 100,
    }
