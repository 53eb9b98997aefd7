"""Tokens: good once, for a while, under their own path; and not too many."""

from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.errors import ResourceExhausted
from cri_shim.streaming.tickets import LIFETIME, MOST, Tickets

EXEC = cri.ExecRequest(container_id="c")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_good_once() -> None:
    tickets = Tickets()
    token = tickets.issue("exec", EXEC)
    assert tickets.redeem("exec", token) is EXEC
    assert tickets.redeem("exec", token) is None


def test_a_token_shown_under_another_path_is_used_up() -> None:
    tickets = Tickets()
    token = tickets.issue("exec", EXEC)
    assert tickets.redeem("attach", token) is None
    assert tickets.redeem("exec", token) is None


@pytest.mark.parametrize("token", ["", "x", "é", "\udc80", "a/b"])
def test_no_other_text_is_a_token(token: str) -> None:
    tickets = Tickets()
    tickets.issue("exec", EXEC)
    assert tickets.redeem("exec", token) is None


def test_tokens_can_t_be_guessed_from_each_other() -> None:
    tickets = Tickets()
    tokens = {tickets.issue("exec", EXEC) for _ in range(MOST)}
    assert len(tokens) == MOST
    assert min(map(len, tokens)) == 22


def test_a_token_lives_for_a_minute_and_makes_room_afterwards() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    tokens = [tickets.issue("exec", EXEC) for _ in range(MOST)]
    with pytest.raises(ResourceExhausted, match="maximum number of in-flight requests exceeded"):
        tickets.issue("exec", EXEC)
    clock.now += LIFETIME - 0.1
    assert tickets.redeem("exec", tokens[0]) is EXEC
    clock.now += 0.1
    assert tickets.redeem("exec", tokens[1]) is None
    assert tickets.redeem("exec", tickets.issue("exec", EXEC)) is EXEC
