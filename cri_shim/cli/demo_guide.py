"""What to do with the demo's node while it is up, in the words of the tools that one would use."""

from __future__ import annotations

_POD = '{"metadata": {"name": "hello", "namespace": "default", "uid": "1"}, "log_directory": "/var/log/pods/hello"}'
_CONTAINER = (
    '{"metadata": {"name": "main"}, "image": {"image": "docker.io/library/busybox:latest"}, '
    '"command": ["sh", "-c", "date; sleep 1000"], "log_path": "main.log"}'
)


def guide(endpoint: str, pid: int, peer: str = "") -> str:
    """How to use the CRI at `endpoint` in the node whose first process is `pid`; `peer`: containerd's own, if it runs.

    The commands are for a root shell on the machine that runs the node.
    """
    compared = f"\ncontainerd's own CRI, in the same node: {peer}\n" if peer else ""
    return f"""{compared}
With crictl, as root:
  export CONTAINER_RUNTIME_ENDPOINT={endpoint}
  crictl pull docker.io/library/busybox:latest
  echo '{_POD}' >pod.json
  echo '{_CONTAINER}' >container.json
  pod=$(crictl runp pod.json); ctr=$(crictl create "$pod" container.json pod.json)
  crictl start "$ctr"; crictl exec --sync "$ctr" ip addr; crictl inspectp "$pod"
  crictl rmp --force "$pod"

All of it, tested:     cri-shim smoke --registry-port 5099
The node from inside:  nsenter --target {pid} --all
Logs:                  /proc/{pid}/root/var/log/cri-shim.log, containerd.log, pods/
Ctrl-C ends it, and leaves nothing."""
