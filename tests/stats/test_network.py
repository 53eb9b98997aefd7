"""What /proc/net/dev tells."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from cri_shim.stats.network import Interface, Traffic, default_interface, interfaces, parse

HEAD = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|"
    "bytes    packets errs drop fifo colls carrier compressed\n"
)
counters = st.lists(st.integers(0, 2**64 - 1), min_size=16, max_size=16)


def line(name, numbers):
    return f"{name:>6}: {' '.join(f'{number:7}' for number in numbers)}\n"


@given(st.dictionaries(st.from_regex(r"[a-z0-9.:@-]{1,15}", fullmatch=True), counters))
def test_every_interface_but_lo_is_told_of_in_order(table):
    text = HEAD + line("lo", [9] * 16) + "".join(line(name, numbers) for name, numbers in table.items())
    assert parse(text) == tuple(
        Interface(name, Traffic(*numbers[:4]), Traffic(*numbers[8:12]))
        for name, numbers in table.items()
        if name != "lo"
    )


@given(st.text())
def test_whatever_stands_there_the_parser_does_not_fail_on_it(text):
    parse(text)


def test_eth0_is_the_pods_own_else_the_first():
    nothing = Traffic(0, 0, 0, 0)
    net1, eth0 = Interface("net1", nothing, nothing), Interface("eth0", nothing, nothing)
    assert default_interface((net1, eth0)) is eth0
    assert default_interface((net1,)) is net1
    assert default_interface(()) is None


def test_a_process_in_the_namespace_is_asked_first():
    found = interfaces(os.getpid(), "/proc/self/ns/net")
    table = parse(Path("/proc/self/net/dev").read_text(encoding="ascii"))
    assert [item.name for item in found] == [item.name for item in table]
