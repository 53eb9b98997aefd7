from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.image import ImageProcess
from cri_shim.oci.process import PATH, TERM, arguments, environment, exec_process, merged
from cri_shim.oci.spec import Process, to_json


@pytest.mark.parametrize(
    ("command", "args", "entrypoint", "cmd", "expected"),
    [
        ([], [], ["/e"], ["d"], ["/e", "d"]),
        ([], ["a"], ["/e"], ["d"], ["/e", "a"]),
        (["/c"], [], ["/e"], ["d"], ["/c"]),
        (["/c"], ["a"], ["/e"], ["d"], ["/c", "a"]),
        ([], [], None, ["d"], ["d"]),
        ([], [], ["/e"], None, ["/e"]),
        ([], ["a"], None, None, ["a"]),
        ([], [], [""], ["d"], ["d"]),
        ([], ["a"], ["", "x"], None, ["", "x", "a"]),
    ],
)
def test_a_command_takes_the_place_of_the_entry_point_and_drops_its_arguments(
    command: list[str], args: list[str], entrypoint: list[str] | None, cmd: list[str] | None, expected: list[str]
) -> None:
    assert arguments(command, args, ImageProcess(entrypoint=entrypoint, cmd=cmd)) == expected


@pytest.mark.parametrize("entrypoint", [None, [], [""]])
def test_nothing_to_run_is_refused(entrypoint: list[str] | None) -> None:
    with pytest.raises(InvalidArgument, match=r"no command specified.*config\.command"):
        arguments([], [], ImageProcess(entrypoint=entrypoint))


def values(**variables: bytes) -> list[cri.KeyValue]:
    return [cri.KeyValue(key=key, value=value) for key, value in variables.items()]


def test_defaults_come_first_and_are_replaced_in_place() -> None:
    env = environment([], ["A=1", "PATH=/x"], values(HOSTNAME=b"h", B=b"2"), terminal=True, hostname="pod")
    assert env == ["PATH=/x", TERM, "HOSTNAME=h", "A=1", "B=2"]


def test_what_image_and_request_both_set_is_there_twice_the_request_last() -> None:
    assert environment([], ["A=1"], values(A=b"2"), terminal=False, hostname="h") == [PATH, "HOSTNAME=h", "A=1", "A=2"]


def test_an_image_item_without_a_sign_removes_a_default() -> None:
    assert environment([], ["PATH"], [], terminal=False, hostname="h") == ["HOSTNAME=h"]


def test_a_base_specs_environment_comes_before_all() -> None:
    env = environment(["Z=9", "PATH=/base", "TERM=vt100"], ["Z=8"], [], terminal=True, hostname="h")
    assert env == ["Z=8", PATH, "TERM=vt100", TERM, "HOSTNAME=h"]


def test_bytes_that_are_no_text_can_still_be_written() -> None:
    env = environment([], [], values(A=b"\xff\x00="), terminal=False, hostname="h")
    assert env[-1] == "A=�\x00="
    assert json.loads(to_json(Process(env=env)))["env"] == env


KEYS = st.sampled_from("ABC")
ITEMS = st.builds(
    lambda key, value: key if value is None else f"{key}={value}", KEYS, st.none() | st.sampled_from("12")
)
SET = st.builds(lambda key, value: f"{key}={value}", KEYS, st.sampled_from("12"))


@given(st.lists(SET, unique_by=lambda item: item[0]), st.lists(ITEMS))
def test_a_default_ends_as_the_last_that_overrides_it_and_the_rest_keeps_its_order(
    defaults: list[str], overrides: list[str]
) -> None:
    result = merged(defaults, overrides)
    keys = [item[0] for item in defaults]
    last = {item[0]: item for item in [*defaults, *(item for item in overrides if item[0] in keys)]}
    kept = [last[key] for key in keys if "=" in last[key]]
    appended = [item for item in overrides if item[0] not in keys and "=" in item]
    assert result == [*kept, *appended]


def test_an_exec_is_as_the_container_but_for_command_and_terminal() -> None:
    process = Process(args=["/app"], env=["A=1"], cwd="/srv", oom_score_adj=5, terminal=True)
    assert exec_process(process, ["sh"], terminal=False) == Process(
        args=["sh"], env=["A=1"], cwd="/srv", oom_score_adj=5
    )
    assert exec_process(process, ["sh"], terminal=True).env == ["A=1", TERM]
    assert exec_process(Process(env=["TERM=vt100", "B=1"]), ["sh"], terminal=True).env == [TERM, "B=1"]
    assert process.args == ["/app"]
