from __future__ import annotations

import anyio
import pytest

from cri_shim.errors import NotFound, Unavailable
from cri_shim.state.overlap import overlap, settle

pytestmark = pytest.mark.anyio


async def value(result: int, after: float = 0) -> int:
    await anyio.sleep(after)
    return result


async def fail(error: Exception, after: float = 0) -> None:
    await anyio.sleep(after)
    raise error


async def test_results_come_in_the_order_of_the_works() -> None:
    assert await overlap(value(1, 0.01), value(2)) == (1, 2)


async def test_the_first_failure_cancels_the_rest_and_is_raised_bare() -> None:
    with anyio.fail_after(1), pytest.raises(NotFound, match="gone"):
        await overlap(value(1, 30), fail(NotFound("gone")))


async def test_settling_lets_every_work_end_and_then_raises_the_first_failure() -> None:
    ended = []

    async def work() -> None:
        await anyio.sleep(0.02)
        ended.append(True)

    with pytest.raises(Unavailable):
        await settle([fail(Unavailable("a")), work(), fail(NotFound("b"), 0.01)])
    assert ended == [True]
