"""The codec as grpclib meets it."""

from __future__ import annotations

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import CriCodec, Encoded, encode, item
from cri_shim.errors import InvalidArgument

CODEC = CriCodec()
CONTAINER = cri.Container(id="a")
LIST = cri.ListContainersResponse(containers=[CONTAINER])


def test_a_message_goes_there_and_back():
    assert CODEC.decode(CODEC.encode(LIST, cri.ListContainersResponse), cri.ListContainersResponse) == LIST


def test_an_encoded_response_goes_out_as_it_is():
    encoded = Encoded(cri.ListContainersResponse, item(1, CONTAINER))
    assert CODEC.encode(encoded, cri.ListContainersResponse) == encode(LIST)


@pytest.mark.parametrize("message", [CONTAINER, Encoded(cri.Container, b"")])
def test_another_message_than_the_methods_own_is_refused(message):
    with pytest.raises(TypeError, match="a ListContainersResponse is to be sent here, not a Container"):
        CODEC.encode(message, cri.ListContainersResponse)


def test_malformed_bytes_are_an_invalid_argument():
    with pytest.raises(InvalidArgument, match="malformed VersionRequest"):
        CODEC.decode(b"\xff", cri.VersionRequest)


def test_the_content_type_is_what_every_client_sends():
    assert CODEC.__content_subtype__ == "proto"
