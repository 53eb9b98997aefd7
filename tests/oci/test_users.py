from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import InvalidArgument
from cri_shim.oci.spec import User
from cri_shim.oci.users import MAX_ID, Accounts, Wanted, pause_user, wanted_user, workload_user

PASSWD = b"""# comment
root:x:0:0:root:/root:/bin/sh
app:x:1000:1000::/:
dup:x:1000:7::/:
web:x:33:33
"""
GROUP = b"""root:x:0:
app:x:1000:app
wheel:x:10:root,app
audio:x:29:web,app
short:x:77
"""
ACCOUNTS = Accounts(PASSWD, GROUP)
ROOT = User(0, 0)


def user(text: str, *groups: int, accounts: Accounts = ACCOUNTS, strict: bool = False) -> User:
    return workload_user(ROOT, Wanted(text, "test"), groups, accounts, strict=strict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (0, 0, [0, 10])),
        ("0", (0, 0, [0, 10])),
        ("1000", (1000, 1000, [10, 29, 1000])),
        ("app", (1000, 1000, [10, 29, 1000])),
        ("dup", (1000, 7, [7])),
        ("4711", (4711, 0, [0])),
        ("+33", (33, 33, [29, 33])),
        ("app:wheel", (1000, 10, [10, 29])),
        ("app:5", (1000, 5, [5, 10, 29])),
        ("4711:audio", (4711, 29, [29])),
        ("33:5", (33, 5, [5, 29])),
        ("app:", (1000, 0, [0, 10, 29])),
        ("1000:", (1000, 0, [0, 10, 29])),
        (":5", (0, 5, [5, 10])),
        ("web:short", (33, 77, [29, 77])),
    ],
)
def test_names_and_numbers_are_looked_up_in_the_images_files(text: str, expected: tuple[int, int, list[int]]) -> None:
    found = user(text)
    assert (found.uid, found.gid, found.additional_gids) == expected


def test_supplemental_groups_are_merged_sorted_and_unique() -> None:
    assert user("app", 500, 10, 3, 3).additional_gids == [3, 10, 29, 500, 1000]


def test_the_strict_policy_has_only_what_the_request_asks_for_and_the_users_own() -> None:
    assert user("app", 500, strict=True).additional_gids == [500, 1000]
    assert user("", 500, strict=True).additional_gids == [500]
    assert user("", strict=True).additional_gids == []


def test_a_base_specs_user_is_the_one_where_none_is_asked_for() -> None:
    base = User(3, 4, umask=0o22, additional_gids=[9])

    def found(text: str, *, strict: bool) -> User:
        return workload_user(base, Wanted(text, "test"), [5], ACCOUNTS, strict=strict)

    assert found("", strict=False) == User(3, 4, umask=0o22, additional_gids=[4, 5, 9, 10])
    assert found("", strict=True) == User(3, 4, umask=0o22, additional_gids=[5, 9])
    assert found("web", strict=True) == User(33, 33, umask=0o22, additional_gids=[5, 33])


def test_numbers_need_no_files() -> None:
    assert user("1000", accounts=Accounts()) == User(1000, 0, additional_gids=[0])
    assert user("1000:2000", 5, accounts=Accounts()) == User(1000, 2000, additional_gids=[5, 2000])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody", "test names 'nobody', whom the image's /etc/passwd doesn't have"),
        ("nobody:5", "names 'nobody'"),
        ("app:nogroup", "the group 'nogroup', which the image's /etc/group doesn't have"),
        ("a:b:c", "more than one colon"),
        ("-1", f"id -1 is out of range: ids are 0 to {MAX_ID}"),
        ("2147483648", "id 2147483648 is out of range"),
        ("5:2147483648", "out of range"),
        ("9" * 5000, "out of range"),
    ],
)
def test_what_stands_for_no_id_is_refused_by_field_and_value(text: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        user(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("group", [-1, 2**31, 2**40])
def test_a_supplemental_group_out_of_range_is_refused(group: int) -> None:
    with pytest.raises(InvalidArgument, match=r"supplemental_groups: id .* out of range"):
        user("0", group)


def int64(value: int) -> cri.Int64Value:
    return cri.Int64Value(value=value)


@pytest.mark.parametrize(
    ("uid", "name", "gid", "image", "expected"),
    [
        (None, "", None, "", ""),
        (None, "", None, "app:wheel", "app:wheel"),
        (int64(0), "", None, "app", "0"),
        (int64(5), "web", None, "app", "web"),
        (int64(5), "", int64(0), "app", "5:0"),
        (int64(5), "web", int64(6), "app", "web:6"),
        (None, "web", int64(6), "", "web:6"),
    ],
)
def test_the_requests_user_comes_before_the_images(
    uid: cri.Int64Value | None, name: str, gid: cri.Int64Value | None, image: str, expected: str
) -> None:
    assert wanted_user(uid, name, gid, image).user == expected


def test_a_group_without_a_user_is_refused_even_if_the_image_has_one() -> None:
    with pytest.raises(InvalidArgument, match=r"run_as_group is 6.*a group needs a user"):
        wanted_user(None, "", int64(6), "app")


@pytest.mark.parametrize(
    ("wanted", "source"),
    [
        (wanted_user(int64(2**31), "", None, ""), "config.linux.security_context.run_as_user:"),
        (wanted_user(None, "", None, str(2**31)), "the image's User:"),
    ],
)
def test_a_refusal_names_who_asked(wanted: Wanted, source: str) -> None:
    with pytest.raises(InvalidArgument, match=source):
        workload_user(ROOT, wanted, (), Accounts(), strict=False)


def test_a_pauses_groups_are_its_users_own_or_else_those_asked_for() -> None:
    assert pause_user(Wanted("", "test"), [7, 5], ACCOUNTS) == User(0, 0, additional_gids=[5, 7])
    assert pause_user(Wanted("65535:65535", "test"), [7], ACCOUNTS) == User(65535, 65535, additional_gids=[65535])


def test_malformed_lines_make_no_entries_and_never_root() -> None:
    passwd = (
        b"evil:x:zero:0\nevil2:x::5\nevil3\n:x:5:5\n\xff\xfe:x:9:9\nover:x:99999999999999999999:1\nbig:x:2147483648:1\n"
    )
    accounts = Accounts(passwd + b"good:x:8:bad\r\n\tspaced:x:6:7 \n", None)
    for name in ("evil", "evil2", "evil3", "over", "big", "#x"):
        with pytest.raises(InvalidArgument):
            user(name, accounts=accounts)
    assert user("good", accounts=accounts) == User(8, 0, additional_gids=[0])
    assert user("spaced", accounts=accounts) == User(6, 7, additional_gids=[7])
    assert user("5", accounts=accounts).gid == 0


@given(st.binary(max_size=400), st.binary(max_size=400), st.text(alphabet="ab:01\n-", max_size=8))
def test_no_bytes_bring_anything_but_ids_or_a_refusal(passwd: bytes, group: bytes, text: str) -> None:
    try:
        found = user(text, accounts=Accounts(passwd, group))
    except InvalidArgument:
        return
    assert all(0 <= number <= MAX_ID for number in (found.uid, found.gid, *found.additional_gids))
    assert found.gid in found.additional_gids
    assert found.additional_gids == sorted(set(found.additional_gids))


NAME = st.text(alphabet="abc", min_size=1, max_size=2)


@given(st.lists(st.tuples(NAME, st.integers(0, MAX_ID), st.integers(0, MAX_ID)), min_size=1), st.data())
def test_the_first_entry_of_a_name_or_uid_is_the_one(rows: list[tuple[str, int, int]], data: st.DataObject) -> None:
    accounts = Accounts("".join(f"{name}:x:{uid}:{gid}:::\n" for name, uid, gid in rows).encode())
    name, uid, _ = data.draw(st.sampled_from(rows))
    by_name = next(row for row in rows if row[0] == name)
    by_uid = next(row for row in rows if row[1] == uid)
    assert (user(name, accounts=accounts).uid, user(name, accounts=accounts).gid) == by_name[1:]
    assert user(str(uid), accounts=accounts).gid == by_uid[2]


@pytest.mark.timeout(20)  # a look at each line for each other takes minutes
def test_files_of_ten_thousand_lines_are_read_at_once() -> None:
    passwd = "".join(f"u{number}:x:{number}:{number}::/:\n" for number in range(10_000)).encode()
    group = "".join(f"g{number}:x:{number}:u9999\n" for number in range(10_000)).encode()
    found = user("u9999", accounts=Accounts(passwd, group))
    assert (found.uid, len(found.additional_gids)) == (9999, 10_000)
