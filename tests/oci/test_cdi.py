from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci import cdi, cdi_edits, cdi_spec
from cri_shim.oci.linux_spec import Device, DeviceRule, IntelRdt, Linux, Resources
from cri_shim.oci.spec import Hook, Hooks, Mount, Process, Spec, User
from tests.oci.node import FakeHost, device

DEVICE: dict[str, Any] = {"name": "a", "containerEdits": {"env": ["A=1"]}}
SPEC: dict[str, Any] = {"cdiVersion": "0.7.0", "kind": "vendor.example/thing", "devices": [DEVICE]}


def asked(*names: str, annotations: dict[str, str] | None = None) -> cri.ContainerConfig:
    return cri.ContainerConfig(CDI_devices=[cri.CdiDevice(name=name) for name in names], annotations=annotations or {})


def edits(**fields: Any) -> cdi_spec.ContainerEdits:
    document = {**SPEC, "devices": [{"name": "a", "containerEdits": fields}]}
    return cdi_spec.parse(document).devices[0].container_edits


def applied(spec: Spec, *parts: cdi_spec.ContainerEdits, host: FakeHost | None = None) -> Spec:
    return cdi_edits.edited(spec, cdi_edits.completed(parts, host or FakeHost()))


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_devices_come_from_the_field_and_then_from_annotations_each_once() -> None:
    config = asked(
        "v/c=b", "v/c=a", "v/c=b", annotations={"cdi.k8s.io/z": "v/c=z", "cdi.k8s.io/y": "v/c=a,v/c=y", "o": "x"}
    )
    assert cdi.requested(config, enabled=True) == ["v/c=b", "v/c=a", "v/c=y", "v/c=z"]


def test_where_cdi_is_not_enabled_annotations_say_nothing_and_the_field_is_refused() -> None:
    assert cdi.requested(asked(annotations={"cdi.k8s.io/a": "no name"}), enabled=False) == []
    with pytest.raises(InvalidArgument, match=r"config\.CDI_devices has 'v/c=a', but enable_cdi is false"):
        cdi.requested(asked("v/c=a"), enabled=False)


@pytest.mark.parametrize(
    "name",
    ["", "a", "v/c", "v/c=", "/c=a", "v/=a", "v/c=a ", "1v/c=a", "v/c.=a", "v/c/d=a", "v/c=-a", "v/c=a=b", "v/c=ä"],
)
def test_a_name_that_is_not_qualified_is_refused_by_its_field(name: str) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.CDI_devices\[1\]\.name is .*vendor/class=name"):
        cdi.requested(asked("v/c=a", name), enabled=True)
    with pytest.raises(InvalidArgument, match=r"config\.annotations\['cdi.k8s.io/k'\] is"):
        cdi.requested(asked(annotations={"cdi.k8s.io/k": name}), enabled=True)


@pytest.mark.parametrize("name", ["v/c=0", "nvidia.com/gpu=all", "V_1-a.b/c_d-e.f=0:1.2-3_4"])
def test_a_qualified_name_is_taken(name: str) -> None:
    assert cdi.requested(asked(name), enabled=True) == [name]


# ── specifications ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cdiVersion": "2.0.0"}, "cdiVersion is '2.0.0': it must be one of 0.1.0"),
        ({"cdiVersion": 1}, "cdiVersion"),
        ({"kind": "vendor"}, "kind is 'vendor': it must be vendor/class"),
        ({"kind": None}, "kind"),
        ({"devices": []}, "devices is empty"),
        ({"devices": [DEVICE, DEVICE]}, r"devices\[1\]\.name is 'a', and so is another's"),
        ({"devices": [{"name": "a b", "containerEdits": {"env": ["A=1"]}}]}, r"devices\[0\]\.name is 'a b'"),
        ({"devices": [{"name": "a", "containerEdits": {}}]}, r"devices\[0\]\.containerEdits, of 'a', is empty"),
        ({"more": 1}, "unknown field `more`"),
        ({"annotations": {"a": "x" * (256 << 10)}}, "annotations has 262145 bytes"),
        ({"annotations": {"a": []}}, "expected a string"),
        ({"containerEdits": {"env": ["=1"]}}, "env has '=1'"),
        ({"containerEdits": {"env": ["A"]}}, "env has 'A': it must be NAME=value"),
        ({"containerEdits": {"deviceNodes": [{"path": ""}]}}, "has no path"),
        ({"containerEdits": {"deviceNodes": [{"path": "/a", "type": "x"}]}}, "type is 'x', of the device node '/a'"),
        ({"containerEdits": {"deviceNodes": [{"path": "/a", "permissions": "rx"}]}}, "permissions is 'rx'"),
        ({"containerEdits": {"deviceNodes": [{"path": "/a", "uid": -1}]}}, "uid"),
        ({"containerEdits": {"hooks": [{"hookName": "x", "path": "/a"}]}}, "hookName is 'x': it must be one of"),
        ({"containerEdits": {"hooks": [{"hookName": "prestart", "path": ""}]}}, "a hook prestart has no path"),
        ({"containerEdits": {"hooks": [{"hookName": "prestart", "path": "/a", "env": ["x"]}]}}, "env has 'x'"),
        ({"containerEdits": {"mounts": [{"hostPath": "", "containerPath": "/a"}]}}, "a mount needs hostPath"),
        ({"containerEdits": {"intelRdt": {"closID": "a/b"}}}, "intelRdt.closID is 'a/b'"),
    ],
)
def test_what_is_wrong_in_a_specification_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        cdi_spec.parse({**SPEC, **change})


@pytest.mark.parametrize(
    ("version", "change"),
    [
        ("0.4.0", {"containerEdits": {"mounts": [{"hostPath": "/a", "containerPath": "/b", "type": "bind"}]}}),
        ("0.5.0", {"containerEdits": {"deviceNodes": [{"path": "/a", "hostPath": "/b"}]}}),
        ("0.5.0", {"devices": [{"name": "0", "containerEdits": {"env": ["A=1"]}}]}),
        ("0.6.0", {"kind": "vendor.example/a.b"}),
        ("0.6.0", {"annotations": {"a": "b"}}),
        ("0.6.0", {"devices": [{**DEVICE, "annotations": {"a": "b"}}]}),
        ("0.7.0", {"containerEdits": {"additionalGids": [1]}}),
        ("0.7.0", {"containerEdits": {"intelRdt": {}}}),
    ],
)
def test_what_a_version_brought_takes_that_version(version: str, change: dict[str, Any]) -> None:
    assert cdi_spec.parse({**SPEC, **change, "cdiVersion": f"v{version}"})
    before = cdi_spec.VERSIONS[cdi_spec.VERSIONS.index(version) - 1]
    with pytest.raises(InvalidArgument, match=f"cdiVersion is '{before}', but what it has takes {version}"):
        cdi_spec.parse({**SPEC, **change, "cdiVersion": before})


def test_a_name_may_stand_as_a_number_and_a_null_is_nothing() -> None:
    spec = cdi_spec.parse(
        {
            **SPEC,
            "containerEdits": None,
            "devices": [{**DEVICE, "name": 0}, {**DEVICE, "name": True, "annotations": None}],
        }
    )
    assert [device.name for device in spec.devices] == ["0", "true"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aA0=/. ", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "env", "path", "containerEdits", "devices", "kind"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*SPEC, "containerEdits", "annotations"]), values))
def test_any_document_is_taken_or_refused(document: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidArgument):
        assert cdi_spec.parse({**SPEC, **document}).devices


# ── edits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_devices_a_spec_stays_as_it_is() -> None:
    spec = Spec()
    assert applied(spec) is spec


def test_variables_are_added_and_of_edits_that_set_one_the_last_wins() -> None:
    spec = applied(Spec(process=Process(env=["A=0"])), edits(env=["B=1", "C=2"]), edits(env=["B=3", "A=4"]))
    assert spec.process is not None
    assert spec.process.env == ["A=0", "B=3", "C=2", "A=4"]


def test_a_device_node_has_the_hosts_type_and_numbers_and_the_users_ids() -> None:
    host = FakeHost(device_nodes={"/dev/x": [device("/dev/x")]})
    spec = Spec(process=Process(user=User(7, 0)), linux=Linux(resources=Resources(devices=[DeviceRule(allow=False)])))
    linux = applied(spec, edits(deviceNodes=[{"path": "/dev/y", "hostPath": "/dev/x"}]), host=host).linux
    assert linux is not None
    assert linux.devices == [Device("/dev/y", "c", 1, 3, uid=7)]
    assert linux.resources is not None
    assert linux.resources.devices == [
        DeviceRule(allow=False),
        DeviceRule(allow=True, type="c", major=1, minor=3, access="rwm"),
    ]


def test_a_device_node_that_says_all_does_not_take_the_host() -> None:
    node = {
        "path": "/y",
        "type": "b",
        "major": 8,
        "minor": 1,
        "fileMode": 0o640,
        "uid": 0,
        "gid": 5,
        "permissions": "r",
    }
    linux = applied(Spec(), edits(deviceNodes=[node, {"path": "/fifo", "type": "p"}])).linux
    assert linux is not None
    assert linux.devices == [Device("/y", "b", 8, 1, 0o640, 0, 5), Device("/fifo", "p", 0, 0)]
    assert linux.resources is not None
    assert linux.resources.devices == [DeviceRule(allow=True, type="b", major=8, minor=1, access="r")]


def test_a_device_node_takes_the_place_of_another() -> None:
    spec = Spec(linux=Linux(devices=[Device("/a", "c", 1, 1), Device("/b", "c", 1, 2)]))
    linux = applied(spec, edits(deviceNodes=[{"path": "/a", "type": "c", "major": 9}])).linux
    assert linux is not None
    assert linux.devices == [Device("/b", "c", 1, 2), Device("/a", "c", 9, 0)]


def test_a_device_that_the_node_has_not_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="'/dev/y' is the node's '/dev/x', which can't be had: not a device node"):
        applied(Spec(), edits(deviceNodes=[{"path": "/dev/y", "hostPath": "/dev/x"}]))
    host = FakeHost(device_nodes={"/dev/x": [device("/dev/x")]})
    with pytest.raises(InvalidArgument, match="has type 'b', but the node's '/dev/x' has 'c'"):
        applied(Spec(), edits(deviceNodes=[{"path": "/dev/x", "type": "b"}]), host=host)


def test_mounts_take_the_place_of_others_and_outer_ones_come_first() -> None:
    spec = Spec(mounts=[Mount("/a/b"), Mount("/c"), Mount("/d")])
    mounts = [{"hostPath": "/x", "containerPath": "/c", "options": ["ro"]}, {"hostPath": "/y", "containerPath": "/e"}]
    found = applied(spec, edits(mounts=mounts)).mounts
    assert found == [Mount("/d"), Mount("/c", "", "/x", ["ro"]), Mount("/e", "", "/y"), Mount("/a/b")]


def test_hooks_are_added_to_those_there_are() -> None:
    hooks = [{"hookName": name, "path": f"/{name}"} for name in cdi_spec.HOOKS]
    found = applied(Spec(hooks=Hooks(poststop=[Hook("/first")])), edits(hooks=hooks)).hooks
    assert found == Hooks(
        [Hook("/prestart")],
        [Hook("/createRuntime")],
        [Hook("/createContainer")],
        [Hook("/startContainer")],
        [Hook("/poststart")],
        [Hook("/first"), Hook("/poststop")],
    )


def test_groups_are_added_once_but_for_roots_and_the_last_class_counts() -> None:
    spec = Spec(process=Process(user=User(0, 0, additional_gids=[3])))
    found = applied(
        spec,
        edits(additionalGids=[5, 0, 3], intelRdt={"closID": "a"}),
        edits(intelRdt={"closID": "b", "enableCMT": True}),
    )
    assert found.process is not None
    assert found.process.user.additional_gids == [3, 5]
    assert found.linux is not None
    assert found.linux.intel_rdt == IntelRdt(clos_id="b", enable_cmt=True)


def test_the_document_of_a_specification_is_plain() -> None:
    assert cdi_spec.parse(json.loads(json.dumps(SPEC))).kind == "vendor.example/thing"
