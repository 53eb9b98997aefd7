"""How a command ended, as the error stream says it.

Source: metav1.Status of k8s.io/apimachinery; kubectl looks for the cause "ExitCode" and the number in its
message.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cri_shim.streaming.protocols import Version

_SUCCESS = {"metadata": {}, "status": "Success"}


def ended(version: Version, command: Sequence[str], exit_code: int) -> bytes:
    """What a client hears of a command that ended with `exit_code`."""
    if not exit_code:
        return _of(version, _SUCCESS, "")
    arguments = " ".join(command)
    text = f"error executing command [{arguments}], exit code {exit_code}"
    message = f"command terminated with non-zero exit code: {text}"
    causes = [{"reason": "ExitCode", "message": str(exit_code)}]
    details = {"causes": causes}
    failure = {"status": "Failure", "message": message, "reason": "NonZeroExitCode", "details": details}
    return _of(version, {"metadata": {}, **failure}, message)


def failed(version: Version, what: str, error: BaseException) -> bytes:
    """What a client hears when nothing could be run, or it was cut off; `what` was being done."""
    text = f"{what}: {error}"
    message = f"Internal error occurred: {text}"
    details = {"causes": [{"message": text}]}
    failure = {"status": "Failure", "message": message, "reason": "InternalError", "details": details, "code": 500}
    return _of(version, {"metadata": {}, **failure}, text)


def succeeded(version: Version) -> bytes:
    """What a client hears when all went as it should."""
    return _of(version, _SUCCESS, "")


def _of(version: Version, status: dict[str, Any], text: str) -> bytes:
    return (json.dumps(status, separators=(",", ":"), ensure_ascii=False) if version.status else text).encode()
