"""A network configuration made of the pod CIDR that the kubelet tells."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.cni import Cni
from cri_shim.config import default
from cri_shim.cri.update_runtime_config import WRITTEN, update_runtime_config
from cri_shim.errors import FailedPrecondition, InvalidArgument

pytestmark = pytest.mark.anyio

TEMPLATE = """{"cniVersion": "1.0.0", "name": "made", "plugins": [{"type": "ptp", "first": "{{.PodCIDR}}",
"ranges": [{{range $i, $r := .PodCIDRRanges}}{{if $i}}, {{end}}"{{$r}}"{{end}}],
"routes": [{{range $i, $r := .Routes}}{{if $i}}, {{end}}"{{$r}}"{{end}}]}]}"""
OTHER = """{"cniVersion": "1.0.0", "name": "there", "plugins": [{"type": "ptp"}]}"""


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "template").write_text(TEMPLATE)
    cni = replace(
        default().runtime.cni, conf_template=str(tmp_path / "template"), conf_dir=str(tmp_path / "net.d"), bin_dirs=()
    )
    settings = replace(default(), runtime=replace(default().runtime, cni=cni))
    network = Cni(bin_dirs=(), conf_dir=cni.conf_dir, cache_dir=str(tmp_path / "cache"))
    return cast("Any", SimpleNamespace(settings=settings, networks={"": network}))


async def update(parts, pod_cidr):
    network_config = cri.NetworkConfig(pod_cidr=pod_cidr)
    config = cri.RuntimeConfig(network_config=network_config)
    await update_runtime_config(parts, cri.UpdateRuntimeConfigRequest(runtime_config=config))


async def test_the_template_is_filled_and_the_network_is_there_at_once(parts, tmp_path):
    await update(parts, "10.1.0.0/24, fd01::/64")
    (plugin,) = json.loads((tmp_path / "net.d" / WRITTEN).read_text())["plugins"]
    assert plugin["first"] == "10.1.0.0/24"
    assert plugin["ranges"] == ["10.1.0.0/24", "fd01::/64"]
    assert plugin["routes"] == ["0.0.0.0/0", "::/0"]
    assert [network.name for network in parts.networks[""].networks] == ["made"]
    assert (tmp_path / "net.d" / WRITTEN).stat().st_mode & 0o777 == 0o644


async def test_one_family_has_its_own_route_alone(parts, tmp_path):
    await update(parts, "fd01::/64")
    (plugin,) = json.loads((tmp_path / "net.d" / WRITTEN).read_text())["plugins"]
    assert plugin["routes"] == ["::/0"]


async def test_a_configuration_that_is_there_is_left_alone(parts, tmp_path):
    (tmp_path / "net.d").mkdir()
    (tmp_path / "net.d" / "99-there.conflist").write_text(OTHER)
    await update(parts, "10.1.0.0/24")
    assert [path.name for path in (tmp_path / "net.d").iterdir()] == ["99-there.conflist"]


async def test_no_cidr_and_no_template_change_nothing(parts, tmp_path):
    await update_runtime_config(parts, cri.UpdateRuntimeConfigRequest())
    await update(parts, "")
    runtime = parts.settings.runtime
    parts.settings = replace(parts.settings, runtime=replace(runtime, cni=replace(runtime.cni, conf_template="")))
    await update(parts, "10.1.0.0/24")
    assert not (tmp_path / "net.d").exists()


@pytest.mark.parametrize("pod_cidr", ["10.1.0.0", "10.1.0.0/33", "here", "10.1.0.0/24,", "10.1.0.0/24;10.2.0.0/24"])
async def test_what_is_no_cidr_is_named(parts, pod_cidr):
    with pytest.raises(InvalidArgument, match=r"network_config\.pod_cidr .* is no CIDR"):
        await update(parts, pod_cidr)


@pytest.mark.parametrize(
    ("template", "text"), [("{{.Nothing}}", "line 1 .*no Nothing"), ("{", "is not JSON"), (None, "No such file")]
)
async def test_a_template_that_makes_nothing_is_named_and_nothing_is_written(parts, tmp_path, template, text):
    if template is None:
        (tmp_path / "template").unlink()
    else:
        (tmp_path / "template").write_text(template)
    with pytest.raises(FailedPrecondition, match=f"conf_template .*{text}"):
        await update(parts, "10.1.0.0/24")
    assert not (tmp_path / "net.d").exists() or list((tmp_path / "net.d").iterdir()) == []
