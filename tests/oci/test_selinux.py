"""Labels: what is refused, what a policy and a request make, and which levels are apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import DataLoss, InvalidArgument
from cri_shim.oci.selinux import (
    Contexts,
    Label,
    Labels,
    categories,
    check_options,
    context_option,
    make_labels,
    wanted,
)

CONTEXTS = Contexts(
    process=Label.parse("system_u:system_r:container_t:s0"),
    file=Label.parse("system_u:object_r:container_file_t:s0"),
    vm_type="container_kvm_t",
)
WITHOUT_LEVELS = Contexts(Label("u", "r", "t"), Label("u", "object_r", "f"), "vm")
NEW = "s0:c12,c345"
NAMES = st.from_regex(r"[a-z][\w.-]*", fullmatch=True)
LEVELS = st.from_regex(r"s[0-9](-s[0-9])?(:c[0-9]{1,4}(\.c[0-9]{1,4})?(,c[0-9]{1,4}){0,2})?", fullmatch=True)


def new_level() -> str:
    return NEW


def no_level() -> str:
    raise AssertionError("no new level is needed")


@pytest.mark.parametrize("level", ["", "s0", "s0-s1", "s0:c1", "s0:c1,c22", "s0-s0:c0.c1023", "s0:c1.c5,c9"])
def test_a_level_is_a_sensitivity_with_categories(level: str) -> None:
    check_options(cri.SeLinuxOption(user="staff_u", role="system_r", type="spc_t.x-y", level=level))
    check_options(None)


@pytest.mark.parametrize("level", ["0", "s", "s0:", "s0:c", "s0:c12345", "s0,s1", "s0:c1,", "s0\n", "s٣"])
def test_what_is_no_level_is_refused(level: str) -> None:
    with pytest.raises(InvalidArgument, match=r"selinux_options.level: the format of 'level'"):
        check_options(cri.SeLinuxOption(level=level))


@pytest.mark.parametrize("field", ["user", "role", "type"])
@pytest.mark.parametrize("name", ["a:b", 'a",lowerdir=/etc,x="', "a b", "a\n", "ä"])
def test_a_name_that_would_part_a_label_or_mount_options_is_refused(field: str, name: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"selinux_options\.{field} is "):
        check_options(cri.SeLinuxOption(**{field: name}))


@given(NAMES, NAMES, NAMES, LEVELS | st.just(""))
def test_a_label_is_read_as_it_was_written(user: str, role: str, type_: str, level: str) -> None:
    label = Label(user, role, type_, level)
    assert Label.parse(str(label)) == label
    assert str(Label.parse(str(label))) == str(label)


@pytest.mark.parametrize("text", ["", "kernel", "a:b"])
def test_what_is_no_label_is_said_to_be_none(text: str) -> None:
    with pytest.raises(DataLoss, match="is no SELinux label"):
        Label.parse(text)


def test_who_asks_for_nothing_gets_the_policys_labels_at_a_level_of_its_own() -> None:
    assert make_labels(Label(), CONTEXTS, new_level) == Labels(
        process=f"system_u:system_r:container_t:{NEW}",
        mount=f"system_u:object_r:container_file_t:{NEW}",
        run=f"system_u:system_r:container_t:{NEW}",
    )


def test_a_policy_without_levels_makes_none() -> None:
    assert make_labels(Label(), WITHOUT_LEVELS, no_level) == Labels("u:r:t", "u:object_r:f", "u:r:t")


def test_user_and_level_are_the_files_too_but_not_role_and_type() -> None:
    asked = wanted(cri.SeLinuxOption(user="staff_u", role="staff_r", type="spc_t", level="s0:c7,c9"))
    labels = make_labels(asked, CONTEXTS, no_level)
    assert labels.process == labels.run == "staff_u:staff_r:spc_t:s0:c7,c9"
    assert labels.mount == "staff_u:object_r:container_file_t:s0:c7,c9"


def test_a_type_alone_comes_with_a_level_of_its_own() -> None:
    labels = make_labels(wanted(cri.SeLinuxOption(type="spc_t"), "u:r:t:s0:c1,c2"), CONTEXTS, new_level)
    assert labels.process == f"system_u:system_r:spc_t:{NEW}"


@pytest.mark.parametrize("options", [None, cri.SeLinuxOption()])
def test_a_container_takes_after_its_sandbox(options: cri.SeLinuxOption | None) -> None:
    labels = make_labels(wanted(options, "u:r:t:s0:c1,c2"), CONTEXTS, no_level)
    assert labels.process == "u:r:t:s0:c1,c2"
    assert labels.mount == "u:object_r:container_file_t:s0:c1,c2"


@pytest.mark.parametrize("sandbox", ["", "::t:s0:c1,c2", "u:r:"])
def test_a_sandbox_without_a_whole_label_is_taken_after_in_nothing(sandbox: str) -> None:
    assert wanted(None, sandbox) == Label()


def test_a_privileged_process_has_no_label_but_its_level_is_known() -> None:
    labels = make_labels(Label(), CONTEXTS, new_level, privileged=True)
    assert labels.run == ""
    assert labels.process.endswith(NEW)
    assert labels.mount.endswith(NEW)


def test_a_virtual_machine_has_a_type_of_its_own_that_containers_dont_take_after() -> None:
    labels = make_labels(Label(), CONTEXTS, new_level, in_vm=True)
    assert labels.run == f"system_u:system_r:container_kvm_t:{NEW}"
    assert Label.parse(labels.process).type == "container_t"


@given(LEVELS, NAMES)
def test_process_and_files_are_always_at_one_level(level: str, type_: str) -> None:
    labels = make_labels(Label(type=type_, level=level), CONTEXTS, no_level)
    assert Label.parse(labels.process).level == Label.parse(labels.mount).level == level


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("", set()),
        ("kernel", set()),
        ("u:r:t", set()),
        ("u:r:t:s0", set()),
        ("u:r:t:s0:c2,c1", {1, 2}),
        ("u:r:t:s0-s0:c1,c2", {1, 2}),
        ("u:r:t:s0:c9-s0:c1.c3,c5", {1, 2, 3, 5}),
        ("u:r:t:s0:odd,c4", {4}),
    ],
)
def test_what_tells_levels_apart_is_their_categories(label: str, found: set[int]) -> None:
    assert categories(label) == found


def test_a_mounts_context_is_quoted_for_its_commas() -> None:
    assert context_option("u:object_r:f:s0:c1,c2") == 'context="u:object_r:f:s0:c1,c2"'
