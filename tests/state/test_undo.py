from __future__ import annotations

import anyio
import pytest

from cri_shim.errors import Unavailable
from cri_shim.state.undo import Undo

pytestmark = pytest.mark.anyio


class Steps:
    def __init__(self) -> None:
        self.done: list[str] = []

    def step(self, name: str, error: Exception | None = None, seconds: float = 0) -> object:
        async def run() -> None:
            await anyio.sleep(seconds)
            if error is not None:
                raise error
            self.done.append(name)

        return run


@pytest.fixture
def steps() -> Steps:
    return Steps()


async def test_nothing_is_undone_when_all_goes_well(steps: Steps) -> None:
    async with Undo("work") as undo:
        undo.push("a", steps.step("a"))  # type: ignore[arg-type]
    assert steps.done == []


async def test_a_failure_undoes_in_reverse_order_and_is_raised(steps: Steps) -> None:
    with pytest.raises(Unavailable):
        async with Undo("work") as undo:
            for name in "abc":
                undo.push(name, steps.step(name))  # type: ignore[arg-type]
            raise Unavailable("x")
    assert steps.done == ["c", "b", "a"]


async def test_undoing_goes_on_when_the_caller_is_gone(steps: Steps) -> None:
    with anyio.move_on_after(0.01):
        async with Undo("work") as undo:
            undo.push("a", steps.step("a", seconds=0.02))  # type: ignore[arg-type]
            await anyio.sleep(30)
    assert steps.done == ["a"]


async def test_a_step_that_fails_keeps_the_record_and_the_name_but_not_the_rest(steps: Steps) -> None:
    undo = Undo("work")
    with pytest.raises(Unavailable, match="first"):
        async with undo:
            undo.push("name", steps.step("name"), unless_left=True)  # type: ignore[arg-type]
            undo.push("files", steps.step("files"))  # type: ignore[arg-type]
            undo.push("network", steps.step("network", Unavailable("cni")))  # type: ignore[arg-type]
            raise Unavailable("first")
    assert steps.done == ["files"]
    assert undo.left == ["network", "name"]


async def test_undoing_has_its_own_bound(steps: Steps) -> None:
    undo = Undo("work", seconds=0.02)
    with pytest.raises(Unavailable):
        async with undo:
            undo.push("never reached", steps.step("x"))  # type: ignore[arg-type]
            undo.push("hangs", steps.step("y", seconds=30))  # type: ignore[arg-type]
            raise Unavailable("first")
    assert undo.left == ["hangs", "never reached"]
