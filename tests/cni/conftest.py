"""A node's CNI directories in a temporary place, and plugins that are scripts: they note how they were called, and
answer as they were told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from cri_shim.cni import Attachment, Cni
from cri_shim.linux import netns

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """#!/bin/sh
at={state}/${{0##*/}}.$CNI_COMMAND
cat > $at.stdin
env > $at.env
echo "$CNI_COMMAND ${{0##*/}} $CNI_IFNAME" >> {state}/calls
if [ -e $at.sh ]; then . $at.sh; fi
"""


@dataclass
class Node:
    """`conf`, `bin`, `cache` and `state` directories, and what tests do with them."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("conf", "bin", "cache", "state"):
            (self.root / name).mkdir()
        self.netns = str(self.root / "netns")

    def plugin(self, name, **commands: str):
        """Install a plugin; each of `commands` is the shell code it runs for that command."""
        path = self.root / "bin" / name
        path.write_text(SCRIPT.format(state=self.root / "state"))
        path.chmod(0o755)
        for command, code in commands.items():
            (self.root / "state" / f"{name}.{command}.sh").write_text(code)

    def conf(self, name, value):
        path = self.root / "conf" / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def conflist(self, *types: object, file="10-net.conflist", version="1.0.0", name="net", **more: object):
        plugins = [{"type": one} if isinstance(one, str) else one for one in types]
        return self.conf(file, {"cniVersion": version, "name": name, "plugins": plugins, **more})

    def calls(self):
        path = self.root / "state" / "calls"
        return [line.strip() for line in path.read_text().splitlines()] if path.exists() else []

    def forget_calls(self):
        (self.root / "state" / "calls").unlink(missing_ok=True)

    def stdin(self, name, command):
        return json.loads((self.root / "state" / f"{name}.{command}.stdin").read_text())

    def env(self, name, command):
        lines = (self.root / "state" / f"{name}.{command}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def cached(self):
        results = self.root / "cache" / "results"
        if not results.exists():
            return {}
        return {path.name: json.loads(path.read_text()) for path in sorted(results.iterdir())}

    def attachment(self, container_id="abc", **more: object):
        arguments = (("K8S_POD_NAME", "web"), ("K8S_POD_INFRA_CONTAINER_ID", container_id))
        return Attachment(container_id, self.netns, arguments, **more)

    def cni(self, **more: object):
        options = {"plugin_timeout": 10.0, **more}
        return Cni(
            bin_dirs=[str(self.root / "bin")],
            conf_dir=str(self.root / "conf"),
            cache_dir=str(self.root / "cache"),
            **options,
        )

    async def loaded(self, **more: object):
        cni = self.cni(**more)
        await cni.load()
        return cni

    @staticmethod
    def answer(value) -> str:
        """Shell code that prints a value as JSON."""
        return f"cat <<'END'\n{json.dumps(value)}\nEND\n"

    @staticmethod
    def failure(message, code=100, **more: object) -> str:
        return Node.answer({"code": code, "msg": message, **more}) + "exit 1\n"

    @staticmethod
    def result(address="10.1.0.5/24", gateway="10.1.0.1", version="1.0.0", interface="eth0") -> dict[str, object]:
        return {
            "cniVersion": version,
            "interfaces": [
                {"name": "cni0", "mac": "aa:aa:aa:aa:aa:aa"},
                {"name": interface, "mac": "bb:bb:bb:bb:bb:bb", "sandbox": "/netns"},
            ],
            "ips": [{"address": address, "gateway": gateway, "interface": 1}],
            "routes": [{"dst": "0.0.0.0/0", "gw": gateway}],
            "dns": {},
        }


@pytest.fixture
def node(tmp_path, monkeypatch):
    """The namespace is make-believe: a path that counts as one as long as `node.netns` is set."""
    node = Node(tmp_path)

    async def loopback_up(path):
        assert path == node.netns
        return ("127.0.0.1", "::1")

    monkeypatch.setattr(netns, "loopback_up", loopback_up)
    monkeypatch.setattr(netns, "is_netns", lambda path: bool(path) and path == node.netns)
    return node
