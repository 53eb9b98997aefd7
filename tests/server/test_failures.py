"""What a failed call is answered with, and what is logged of it."""

from __future__ import annotations

import asyncio

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from structlog.testing import capture_logs

from cri_shim import errors
from cri_shim.api.runtime import v1 as cri
from cri_shim.server.failures import failure, redacted
from tests.server.services import Failing

KINDS = sorted(errors.BY_CODE.values(), key=lambda kind: kind.code.value)
URL = 'Get "https://registry.example/v2/a?token=s3cr3t&scope=pull": refused'
CLEAN = 'Get "https://registry.example/v2/a?token=[REDACTED]&scope=[REDACTED]": refused'


async def answer(serving, error, call):
    with capture_logs() as logs:
        async with serving(Failing(error)) as served:
            with pytest.raises(GRPCError) as caught:
                await call(served)
    return caught.value, logs


async def version(served):
    return await served.runtime.version(cri.VersionRequest())


async def pull(served):
    return await served.images.pull_image(cri.PullImageRequest())


@pytest.mark.anyio
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_each_kind_of_error_arrives_as_its_status_with_its_text(serving, kind):
    error, logs = await answer(serving, kind("what was wrong"), version)
    assert (error.status, error.message) == (kind.code, "what was wrong")
    assert [line["code"] for line in logs if line["event"] == "Version"] == [kind.code.name]


@pytest.mark.anyio
async def test_an_exception_that_nobody_expected_is_unknown_and_logged_with_its_stack(serving):
    error, logs = await answer(serving, KeyError("id"), version)
    assert (error.status, error.message) == (Status.UNKNOWN, "KeyError: 'id'")
    [line] = [line for line in logs if line["event"] == "Version"]
    assert line["log_level"] == "error"
    assert "in version" in line["stack"]


@pytest.mark.anyio
async def test_a_time_out_within_a_call_is_a_deadline_exceeded(serving):
    error, _ = await answer(serving, TimeoutError(), version)
    assert error.status is Status.DEADLINE_EXCEEDED
    assert error.message == "Version: something that it waited for took too long"


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [errors.Unknown, errors.NotFound, RuntimeError])
async def test_query_values_of_urls_are_kept_out_of_an_image_calls_answer_and_log(serving, kind):
    error, logs = await answer(serving, kind(URL), pull)
    assert error.message.endswith(CLEAN)
    assert "s3cr3t" not in repr(logs)


def test_urls_of_other_calls_are_left_alone():
    assert redacted(URL, "RunPodSandbox") == URL
    assert redacted(URL, "PullImage") == CLEAN


def test_what_has_no_verb_yet_says_which_call_it_was():
    found = failure(GRPCError(Status.UNIMPLEMENTED), "Attach", past_deadline=False)
    assert str(found.raised.message) == "Attach is not implemented by this runtime"
    assert found.level == "debug"


def test_an_error_without_a_text_is_told_by_its_kind():
    assert failure(errors.NotFound(), "Version", past_deadline=False).raised.message == "NotFound()"


@pytest.mark.parametrize("kind", [asyncio.CancelledError, StreamTerminatedError])
def test_a_call_given_up_by_its_client_is_no_error(kind):
    error = kind()
    found = failure(error, "Version", past_deadline=False)
    assert (found.status, found.raised, found.level) == (Status.CANCELLED, error, "info")


def test_a_call_past_its_deadline_is_told_from_one_given_up():
    found = failure(asyncio.CancelledError(), "Version", past_deadline=True)
    assert (found.status, found.event) == (Status.DEADLINE_EXCEEDED, "past the client's deadline")


def test_the_end_of_the_process_passes():
    error = KeyboardInterrupt()
    assert failure(error, "Version", past_deadline=False).raised is error
