"""The pod network that kind gives its node."""

from __future__ import annotations

from typing import Final

SUBNET: Final = "10.244.0.0/24"
# As kindnet writes it, for one node.
NETWORK: Final = {
    "cniVersion": "0.3.1",
    "name": "kindnet",
    "plugins": [
        {
            "type": "ptp",
            "ipMasq": False,
            "mtu": 1500,
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/cni-ipam-state",
                "routes": [{"dst": "0.0.0.0/0"}],
                "ranges": [[{"subnet": SUBNET}]],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
