"""Which RPCs nobody has written yet."""

from __future__ import annotations

from cri_shim.cri.image_service import ImageService
from cri_shim.cri.runtime_service import RuntimeService
from cri_shim.server.instrumented import unimplemented
from tests.server.services import Runtime

# These lists may only shrink: what answers once must never be lost again.
RUNTIME = [
    "CheckpointPod",
    "RestorePod",
]
IMAGE: list[str] = []


def test_what_answers_unimplemented_is_what_is_known_to():
    services = RuntimeService.__new__(RuntimeService), ImageService.__new__(ImageService)
    assert [unimplemented(service) for service in services] == [RUNTIME, IMAGE]


def test_a_method_that_the_service_has_is_not_in_the_list():
    left = unimplemented(Runtime())
    assert "Attach" in left
    assert not {"Version", "ListContainers", "StopContainer", "GetContainerEvents"} & set(left)
