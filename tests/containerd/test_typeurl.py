from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.api.containerd.services.streaming.v1.streaming_pb2 import StreamInit
from cri_shim.api.containerd.types.platform_pb2 import Platform
from cri_shim.containerd import typeurl
from cri_shim.errors import DataLoss


@given(st.text())
def test_what_is_packed_comes_out_again(text):
    assert typeurl.unpack(typeurl.pack(StreamInit(id=text)), StreamInit).id == text


def test_the_type_url_is_the_bare_name_as_containerd_writes_it():
    assert typeurl.pack(StreamInit()).type_url == "containerd.services.streaming.v1.StreamInit"


def test_a_host_before_the_name_is_no_hindrance():
    packed = Any(type_url="type.googleapis.com/containerd.services.streaming.v1.StreamInit")
    assert typeurl.unpack(packed, StreamInit).id == ""


def test_another_type_is_data_loss():
    with pytest.raises(DataLoss, match="Platform"):
        typeurl.unpack(typeurl.pack(Platform()), StreamInit)


def test_bytes_that_are_no_message_are_data_loss():
    with pytest.raises(DataLoss, match="can't be decoded"):
        typeurl.unpack(Any(type_url="containerd.services.streaming.v1.StreamInit", value=b"\xff\xff"), StreamInit)
