"""Configuration files: which count, what is wrong with them, and what is kept when they go wrong."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import asynccontextmanager

import anyio
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from cri_shim import errors
from cri_shim.cni import directory, network, readiness, versions, watch

GOOD = {"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "p"}]}


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    """Both loops: inotify is at home on neither."""
    return "asyncio", {"loop_factory": uvloop.new_event_loop} if request.param == "uvloop" else {}


def load(node, max_conf_num=1):
    return directory.load(str(node.root / "conf"), max_conf_num)


def test_files_count_by_their_endings_and_in_the_order_of_their_names(node):
    node.conflist("b", file="20.conflist", name="b")
    node.conf("10.conf", {"name": "a", "type": "a", "cniVersion": "0.4.0"})
    node.conf("30.json", {"name": "c", "type": "c"})
    node.conf("05.conflist.bak", "{")
    node.conf("06-readme", "{")
    (node.root / "conf/01.conf").mkdir()
    assert [one.name for one in load(node, 0)] == ["a", "b", "c"]
    assert [one.name for one in load(node, 2)] == ["a", "b"]


def test_a_single_plugin_becomes_a_list_of_one_with_all_its_keys(node):
    node.conf("10.conf", '{"name": "a", "type": "t", "cniVersion": "0.4.0", "mtu": 1.0}')
    (one,) = load(node)
    assert json.loads(one.source) == {
        "cniVersion": "0.4.0",
        "name": "a",
        "plugins": [{"name": "a", "type": "t", "cniVersion": "0.4.0", "mtu": 1.0}],
    }
    assert b'"mtu": 1.0' in one.source


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("x.conflist", "", "Input data was truncated"),
        ("x.conflist", "{", "Input data was truncated"),
        ("x.conflist", "[]", "Expected `object`"),
        ("x.conflist", {"plugins": [{"type": "p"}]}, "missing required field `name`"),
        ("x.conflist", {**GOOD, "name": "../x"}, "network name '../x'"),
        ("x.conflist", {**GOOD, "name": ""}, "network name ''"),
        ("x.conflist", {**GOOD, "plugins": []}, "the list of plugins is empty"),
        ("x.conflist", {**GOOD, "plugins": {}}, r"Expected `array.*plugins"),
        ("x.conflist", {**GOOD, "plugins": [{}]}, "missing required field `type`"),
        ("x.conflist", {**GOOD, "plugins": [{"type": "../p"}]}, "plugin type '../p'"),
        ("x.conflist", {**GOOD, "cniVersion": "one"}, "cniVersion 'one'"),
        ("x.conflist", {**GOOD, "disableCheck": "maybe"}, "disableCheck is 'maybe'"),
        ("x.conflist", {"name": "net"}, "it has no plugins"),
        ("x.conflist", {"name": "net", "loadOnlyInlinedPlugins": True}, "loadOnlyInlinedPlugins"),
        ("x.conf", {"name": "net"}, "missing required field `type`"),
        ("x.conf", GOOD, "has to end in .conflist"),
        ("x.json", {"type": "p"}, "missing required field `name`"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(node, file, content, why):
    node.conf(file, content)
    with pytest.raises(directory.ConfigurationError, match=why) as caught:
        load(node)
    assert f"{node.root}/conf/{file}: " in str(caught.value)


def test_a_link_to_nowhere_is_named(node):
    (node.root / "conf/a.conflist").symlink_to("/nowhere")
    with pytest.raises(directory.ConfigurationError, match=r"a\.conflist can't be read: No such file"):
        load(node)


def test_a_broken_file_beyond_the_number_wanted_does_no_harm(node):
    node.conflist("p", file="1.conflist")
    node.conf("2.conflist", "{")
    assert len(load(node)) == 1
    with pytest.raises(directory.ConfigurationError):
        load(node, 0)


def test_plugins_in_files_of_their_own_follow_those_of_the_list_and_are_kept_in_its_source(node):
    node.conflist("a", version="1.1.0")
    (node.root / "conf/net").mkdir()
    (node.root / "conf/net/2.conf").write_text('{"type": "c"}')
    (node.root / "conf/net/1.conf").write_text('{"type": "b", "x": 1.0}')
    (one,) = load(node)
    assert [plugin.type for plugin in one.plugins] == ["a", "b", "c"]
    assert network.parse_list(one.source).plugins == one.plugins


@pytest.mark.parametrize(
    ("version", "offered", "chosen"),
    [
        ("0.4.0", None, "0.4.0"),
        ("", None, ""),
        ("0.4.0", ["0.3.1", "1.0.0"], "1.0.0"),
        ("0.4.0", ["1.1.0", "1.2.0"], "1.1.0"),
        ("", ["2.0.0"], ""),
    ],
)
def test_of_several_versions_the_newest_that_we_know_is_taken(version, offered, chosen):
    value = {**GOOD, "cniVersion": version} | ({"cniVersions": offered} if offered else {})
    assert network.parse_list(json.dumps(value).encode()).cni_version == chosen


@given(st.binary())
def test_any_bytes_are_a_network_or_refused(data):
    for parse in (network.parse_list, network.from_single):
        try:
            parse(data)
        except errors.InvalidArgument:
            continue


@given(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)))
def test_versions_are_compared_as_numbers(numbers):
    assert versions.parse(".".join(map(str, numbers))) == numbers


class TestKeeping:
    pytestmark = pytest.mark.anyio

    async def test_a_file_that_breaks_leaves_the_last_good_networks_in_force_and_is_named(self, node):
        node.conflist("p")
        cni = await node.loaded()
        node.conf("10-net.conflist", "{")
        await cni.load()
        status = cni.status()
        assert status.ready
        assert "10-net.conflist: Input data was truncated; net stays in force" in status.message
        assert [one.name for one in cni.networks] == ["net"]

    async def test_so_does_a_directory_that_vanishes(self, node):
        node.conflist("p")
        cni = await node.loaded()
        shutil.rmtree(node.root / "conf")
        await cni.load()
        assert cni.status().ready
        assert f"{node.root}/conf does not exist" in cni.status().message

    async def test_an_emptied_directory_means_that_there_is_no_network_any_more(self, node):
        path = node.conflist("p")
        cni = await node.loaded()
        path.unlink()
        await cni.load()
        assert not cni.status().ready
        assert cni.status().message.startswith("cni plugin not initialized: no network configuration")

    async def test_a_repaired_file_is_used(self, node):
        node.conf("10-net.conflist", "{")
        cni = await node.loaded()
        assert not cni.status().ready
        assert "10-net.conflist" in cni.status().message
        assert cni.last_load != "OK"
        node.conflist("p")
        await cni.load()
        assert (cni.status().ready, cni.status().message, cni.last_load) == (True, "", "OK")

    async def test_it_is_described_as_containerd_does(self, node):
        path = node.conflist({"type": "p", "capabilities": {"dns": True}, "x": 1})
        described = (await node.loaded()).describe()
        (one,) = described["Networks"]
        assert one["IFName"] == "eth0"
        assert one["Config"]["Source"] == path.read_text()
        assert one["Config"]["Plugins"][0]["Network"] == {"type": "p", "capabilities": {"dns": True}}


@asynccontextmanager
async def watched(cni):
    async with anyio.create_task_group() as group:
        group.start_soon(cni.watch)
        await anyio.sleep(0.1)
        yield cni
        group.cancel_scope.cancel()


async def becomes(predicate):
    """Whether a condition comes true within two seconds."""
    deadline = anyio.current_time() + 2
    while anyio.current_time() < deadline:
        if predicate():
            return True
        await anyio.sleep(0.01)
    return False


class TestWatching:
    pytestmark = pytest.mark.anyio

    async def test_a_new_file_makes_the_node_ready_without_being_asked(self, node):
        async with watched(await node.loaded()) as cni:
            assert not cni.networks
            node.conflist("p")
            assert await becomes(lambda: cni.networks)

    async def test_a_file_moved_in_removed_and_linked_is_noticed(self, node):
        path = node.conflist("p")
        elsewhere = node.root / "elsewhere.conflist"
        path.rename(elsewhere)
        async with watched(await node.loaded()) as cni:
            for make in (elsewhere.rename, lambda to: to.symlink_to(elsewhere)):
                make(path)
                assert await becomes(lambda: cni.networks)
                if not path.is_symlink():
                    shutil.copy(path, elsewhere)
                path.unlink()
                assert await becomes(lambda: not cni.networks)

    async def test_a_directory_made_again_is_read_and_watched_again(self, node):
        node.conflist("p", name="old")
        conf = node.root / "conf"
        async with watched(await node.loaded()) as cni:
            for number in range(3):
                shutil.rmtree(conf)
                assert await becomes(lambda: "does not exist" in cni.status().message)
                assert cni.networks
                conf.mkdir()
                node.conflist("p", name=f"new{number}")
                assert await becomes(lambda number=number: cni.networks and cni.networks[0].name == f"new{number}")

    async def test_a_directory_renamed_away_is_noticed(self, node):
        node.conflist("p")
        async with watched(await node.loaded()) as cni:
            (node.root / "conf").rename(node.root / "away")
            assert await becomes(lambda: "does not exist" in cni.status().message)

    async def test_a_directory_whose_parents_are_missing_is_awaited(self, node):
        cni = node.cni()
        conf = node.root / "etc/cni/net.d"
        cni._configuration.path = str(conf)
        await cni.load()
        async with watched(cni):
            conf.parent.parent.mkdir()
            await anyio.sleep(0.1)
            conf.mkdir(parents=True)
            (conf / "1.conflist").write_text(json.dumps(GOOD))
            assert await becomes(lambda: cni.networks)
            shutil.rmtree(node.root / "etc")
            assert await becomes(lambda: cni.status().message)
            conf.mkdir(parents=True)
            (conf / "1.conflist").write_text(json.dumps({**GOOD, "name": "again"}))
            assert await becomes(lambda: cni.networks[0].name == "again")

    async def test_what_else_happens_in_the_parent_directory_causes_no_reload(self, node, monkeypatch):
        loads = []
        monkeypatch.setattr(directory, "load", lambda *_: loads.append(1) or ())
        async with watched(node.cni()):
            before = len(loads)
            (node.root / "something").touch()
            await anyio.sleep(0.1)
            assert len(loads) == before

    async def test_without_inotify_a_question_makes_us_look_again(self, node, monkeypatch):
        async def refused(*_: object):
            raise OSError(24, "Too many open files")

        monkeypatch.setattr(watch, "follow", refused)
        monkeypatch.setattr(readiness, "_FRESH", 0.05)
        async with watched(await node.loaded()) as cni:
            assert not cni.status().ready
            await anyio.sleep(0.1)
            node.conflist("p")
            await anyio.sleep(0.1)
            assert not cni.networks
            assert await becomes(lambda: cni.status().ready)

    async def test_a_changed_file_of_a_single_plugin_is_seen_at_the_next_question(self, node, monkeypatch):
        monkeypatch.setattr(readiness, "_FRESH", 0.05)
        node.conflist("a")
        (node.root / "conf/net").mkdir()
        async with watched(await node.loaded()) as cni:
            (node.root / "conf/net/1.conf").write_text('{"type": "b"}')
            assert await becomes(lambda: cni.status() and len(cni.networks[0].plugins) == 2)


class TestStatus:
    pytestmark = pytest.mark.anyio

    async def test_plugins_of_1_1_0_are_asked_and_their_reason_is_told(self, node):
        node.conflist("p", version="1.1.0")
        node.plugin("p", STATUS=node.failure("no route to the API server", 50))
        cni = await node.loaded()
        assert node.calls() == ["STATUS p"]
        status = cni.status()
        assert not status.ready
        assert (
            status.message == 'network "net" is not ready: plugin type="p" failed (status): no route to the API server'
        )

    async def test_older_ones_are_not_asked(self, node):
        node.conflist("p", version="1.0.0")
        node.plugin("p", STATUS="exit 1")
        cni = await node.loaded()
        assert cni.status().ready
        assert node.calls() == []

    async def test_many_questions_cost_one_look(self, node):
        node.conflist("p", version="1.1.0")
        node.plugin("p")
        async with watched(await node.loaded()) as cni:
            for _ in range(20):
                cni.status()
                await anyio.sleep(0.01)
            assert len(node.calls()) <= 2

    async def test_a_hanging_plugin_does_not_hold_up_the_answer(self, node):
        node.conflist("p", version="1.1.0")
        node.plugin("p")
        cni = await node.loaded()
        node.plugin("p", STATUS="sleep 30")
        async with watched(cni):
            for _ in range(10):
                assert cni.status().ready
                await anyio.sleep(0.02)


def test_the_directories_of_a_test_are_its_own(node):
    assert os.listdir(node.root / "conf") == []
