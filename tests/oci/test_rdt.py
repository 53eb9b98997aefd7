"""Who may ask for which class of cache and memory bandwidth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.errors import InvalidArgument
from cri_shim.oci.rdt import RdtRules, parse


def test_a_class_may_be_denied_to_annotations():
    document = {
        "options": {"l3": {"optional": True}},
        "partitions": {
            "one": {
                "l3Allocation": {"all": "60%"},
                "classes": {
                    "gold": {"l3Allocation": {"all": "100%"}, "kubernetes": {"denyPodAnnotation": True}},
                    "silver": {"Kubernetes": {"denycontainerannotation": True, "denyPodAnnotation": False}},
                    "bronze": None,
                },
            },
            "two": {"Classes": {"iron": {"kubernetes": {"denyPodAnnotation": True, "denyContainerAnnotation": True}}}},
        },
    }
    assert parse(document) == RdtRules(frozenset({"gold", "iron"}), frozenset({"silver", "iron"}))


@pytest.mark.parametrize("document", [None, {}, {"partitions": None}, {"partitions": {"a": None}}])
def test_where_nothing_is_said_nothing_is_denied(document):
    assert parse(document) == RdtRules()


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the document"),
        ({"partitions": 1}, "partitions is 1"),
        ({"partitions": {"a": {"classes": []}}}, r"partitions\.a\.classes"),
        ({"partitions": {"a": {"classes": {"b": 1}}}}, r"partitions\.a\.classes\.b is 1"),
        ({"partitions": {"a": {"classes": {"b": {"kubernetes": ""}}}}}, r"b\.kubernetes"),
    ],
)
def test_a_file_of_another_shape_is_refused_with_the_place(document, where):
    with pytest.raises(InvalidArgument, match=where):
        parse(document)


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda below: st.dictionaries(st.text(), below)))
def test_whatever_the_document_it_is_rules_or_a_refusal(document):
    for text in ({"partitions": document}, {"partitions": {"a": {"classes": document}}}):
        try:
            parse(text)
        except InvalidArgument as error:
            assert "must be a table" in str(error)  # noqa: PT017  (either outcome is right)
