"""The result as JSON, for whoever compares runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cri_shim.smoke.check import State

if TYPE_CHECKING:
    from cri_shim.smoke.check import Outcome
    from cri_shim.smoke.report.result import Result


def document(result: Result) -> str:
    """The document; times are seconds."""
    whole = {
        "endpoint": result.endpoint,
        "runtime": {"name": result.runtime, "version": result.version},
        "run": result.run,
        "image": result.image,
        "seconds": round(result.seconds, 3),
        **{state.value: result.count(state) for state in State},
        "not_run": result.not_run,
        "left": list(result.left),
        "checks": [_check(outcome) for outcome in result.outcomes],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _check(outcome: Outcome) -> dict[str, object]:
    check = outcome.check
    told: dict[str, object] = {
        "id": check.id,
        "capability": check.capability,
        "sentence": check.sentence,
        "state": outcome.state.value,
        "seconds": round(outcome.seconds, 3),
    }
    if outcome.state is State.FAILED:
        told |= {"expected": outcome.expected, "came": outcome.came}
    elif outcome.state is State.SKIPPED:
        told["reason"] = outcome.reason
    return told
