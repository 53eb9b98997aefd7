"""No RPC answers Unimplemented: what a node can't do, it says with what is missing."""

from __future__ import annotations

from cri_shim.cri.image_service import ImageService
from cri_shim.cri.runtime_service import RuntimeService
from cri_shim.server.instrumented import unimplemented
from tests.server.services import Runtime


def test_nothing_answers_unimplemented():
    services = RuntimeService.__new__(RuntimeService), ImageService.__new__(ImageService)
    assert [unimplemented(service) for service in services] == [[], []]


def test_a_method_that_a_service_lacks_is_told():
    left = unimplemented(Runtime())
    assert "Attach" in left
    assert not {"Version", "ListContainers", "StopContainer", "GetContainerEvents"} & set(left)
