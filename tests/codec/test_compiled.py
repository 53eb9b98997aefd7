"""When and how the functions of a class are compiled."""

from __future__ import annotations

import threading
import traceback

import pytest

from cri_shim.api.runtime import v1 as cri
from cri_shim.codec import compiled, decode, encode, prepare
from cri_shim.codec.source import name_for
from cri_shim.errors import Internal


def test_threads_that_meet_a_class_first_at_the_same_time_agree():
    results: list[bytes] = []
    message = cri.CreateContainerRequest(config=cri.ContainerConfig(command=["sh"]))
    threads = [threading.Thread(target=lambda: results.append(encode(message))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [b"\x12\x04\x1a\x02sh"] * 8


def test_what_is_prepared_is_compiled_with_what_it_nests():
    prepare(decoded=[cri.UpdatePodSandboxResourcesRequest], encoded=[cri.RuntimeConfigResponse])
    assert {cri.UpdatePodSandboxResourcesRequest, cri.LinuxContainerResources} <= compiled._decoders.keys()
    assert {cri.RuntimeConfigResponse, cri.LinuxRuntimeConfiguration} <= compiled._encoders.keys()


def test_a_class_is_compiled_once():
    assert compiled.decoder(cri.Container) is compiled.decoder(cri.Container)
    assert compiled.encoder(cri.Container) is compiled.encoder(cri.Container)


def test_a_traceback_shows_the_generated_line():
    with pytest.raises(Internal) as caught:
        encode(cri.ContainerMetadata(name=3))  # type: ignore[arg-type]
    lines = "".join(traceback.format_exception(caught.value))
    assert "<cri_shim.codec encoder of ContainerMetadata>" in lines
    assert "v = v.encode()" in lines


def test_classes_of_the_same_name_have_names_of_their_own():
    one, other = type("Same", (), {}), type("Same", (), {})
    names: dict[str, type] = {}
    assert [name_for(cls, "encode", names) for cls in (one, other, one, other)] == [
        "encode_Same",
        "encode_Same_",
        "encode_Same",
        "encode_Same_",
    ]


def test_what_is_no_message_is_refused_by_name():
    with pytest.raises(Internal, match=r"str .*not a message class made by betterproto2"):
        encode("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="str is not a message class made by betterproto2"):
        decode(str, b"")  # type: ignore[type-var]
