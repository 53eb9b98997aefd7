"""The configuration that the node's containerd and cri-shim read."""

from __future__ import annotations

import tomllib

from integration.harness.containerd import MAIN, PEER, config


def test_only_the_peer_serves_its_own_cri() -> None:
    assert tomllib.loads(config(MAIN))["disabled_plugins"] == ["io.containerd.grpc.v1.cri"]
    assert "disabled_plugins" not in tomllib.loads(config(PEER))


def test_the_two_share_nothing_but_what_is_compared_under() -> None:
    ours, peers = tomllib.loads(config(MAIN)), tomllib.loads(config(PEER))
    for key in ("root", "state"):
        assert ours[key] != peers[key]
    assert ours["grpc"]["address"] != peers["grpc"]["address"]
    assert ours["plugins"] == peers["plugins"]


def test_both_runtimes_are_handlers() -> None:
    runtimes = tomllib.loads(config(MAIN))["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]
    assert runtimes["crun"]["options"]["BinaryName"] == "/usr/bin/crun"
    assert runtimes["runc"]["runtime_type"] == runtimes["crun"]["runtime_type"] == "io.containerd.runc.v2"
