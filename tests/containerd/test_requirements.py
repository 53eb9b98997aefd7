"""Which containerd is refused, and in which words."""

from __future__ import annotations

import pytest

from cri_shim.api.containerd.services.introspection.v1.introspection_pb2 import Plugin
from cri_shim.api.google.rpc.status_pb2 import Status
from cri_shim.containerd import requirements
from cri_shim.errors import FailedPrecondition


def plugins(*, without=(), failed=()):
    names = [("io.containerd.grpc.v1", service) for service in requirements.SERVICES] + list(requirements.PLUGINS)
    return [
        Plugin(type=kind, id=name, init_err=Status(code=2, message="no disk") if name in failed else None)
        for kind, name in names
        if name not in without
    ]


@pytest.mark.parametrize("version", ["2.0.0", "v2.1.9", "2.1.9+unknown", "2.3.4~ds1", "3.0.0-beta.1", "(devel)", ""])
def test_a_complete_containerd_from_2_0_on_will_do(version):
    requirements.check("/run/c.sock", version, plugins())


@pytest.mark.parametrize("version", ["1.7.34", "v1.6.0", "1.7.24~ds1"])
def test_an_older_containerd_is_refused_by_its_version(version):
    with pytest.raises(FailedPrecondition, match=f"containerd {version} at /run/c.sock .* needs containerd 2.0"):
        requirements.check("/run/c.sock", version, plugins())


def test_a_missing_service_is_named_with_what_to_do():
    with pytest.raises(FailedPrecondition, match=r"io\.containerd\.grpc\.v1\.transfer is missing: .*disabled_plugins"):
        requirements.check("/run/c.sock", "2.1.9", plugins(without={"transfer"}))


def test_every_reason_is_given_at_once():
    with pytest.raises(FailedPrecondition) as caught:
        requirements.check("/run/c.sock", "2.1.9", plugins(without={"streaming", "sandboxes"}))
    assert "grpc.v1.streaming is missing" in str(caught.value)
    assert "grpc.v1.sandboxes is missing" in str(caught.value)


def test_a_plugin_that_failed_counts_as_lacking_with_its_reason():
    with pytest.raises(FailedPrecondition, match=r"io\.containerd\.grpc\.v1\.tasks failed to start: no disk"):
        requirements.check("/run/c.sock", "2.1.9", plugins(failed={"tasks"}))
