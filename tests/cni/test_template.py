"""Templates of CNI configuration, in Go's language for them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_shim.cni.template import render
from cri_shim.errors import FailedPrecondition

VALUES = {
    "PodCIDR": "10.0.0.0/24",
    "PodCIDRRanges": ["10.0.0.0/24", "fd00::/64"],
    "Routes": ["0.0.0.0/0", "::/0"],
    "None": [],
}
USUAL = """
{"name": "k8s-pod-network", "cniVersion": "1.0.0", "plugins": [{
  "type": "ptp", "mtu": 1460,
  "ipam": {
    "type": "host-local",
    {{- /* one range for each family */ -}}
    "ranges": [{{range $i, $range := .PodCIDRRanges}}{{if $i}}, {{end}}[{"subnet": "{{$range}}"}]{{end}}],
    "routes": [{{range $i, $route := .Routes}}{{if $i}}, {{end}}{"dst": "{{$route}}"}{{end}}]
  }
}]}
"""


def test_the_usual_template_makes_a_configuration():
    ipam = json.loads(render(USUAL, VALUES))["plugins"][0]["ipam"]
    assert ipam["ranges"] == [[{"subnet": "10.0.0.0/24"}], [{"subnet": "fd00::/64"}]]
    assert ipam["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("{{.PodCIDR}}", "10.0.0.0/24"),
        ("{{ .PodCIDR }}", "10.0.0.0/24"),
        ("a {{- .PodCIDR -}} b", "a10.0.0.0/24b"),
        ("{{range .Routes}}<{{.}}>{{end}}", "<0.0.0.0/0><::/0>"),
        ("{{range $r := .Routes}}<{{$r}}>{{end}}", "<0.0.0.0/0><::/0>"),
        ("{{range .None}}x{{else}}none{{end}}", "none"),
        ("{{range .Routes}}{{$.PodCIDR}} {{end}}", "10.0.0.0/24 10.0.0.0/24 "),
        ("{{if .None}}a{{else}}b{{end}}", "b"),
        ("{{with .PodCIDR}}{{.}}{{end}}", "10.0.0.0/24"),
        ("{{with $x := .PodCIDR}}{{$x}}{{end}}", "10.0.0.0/24"),
        ("{{index .Routes 1}} {{len .Routes}}", "::/0 2"),
        ('{{if eq .PodCIDR "10.0.0.0/24"}}same{{end}}', "same"),
        ('{{if ne .PodCIDR "x"}}other{{end}}', "other"),
        ('{{if and .PodCIDR .None}}a{{end}}{{or "" "b"}}{{not .None}}', "btrue"),
        ("{{.Routes}}", "[0.0.0.0/0 ::/0]"),
        ("{{/* nothing */}}a", "a"),
        ("{{range .Routes}}{{range $.Routes}}x{{end}}{{end}}", "xxxx"),
        ('{{"a \\"quoted\\" word"}}', 'a "quoted" word'),
        ("", ""),
    ],
)
def test_what_is_known(template, result):
    assert render(template, VALUES) == result


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("\n\n{{.Missing}}", "line 3 .*there is no Missing"),
        ("{{$x}}", "\\$x means nothing"),
        ("{{range .Routes}}", "range has no end"),
        ("{{end}}", "end without a block"),
        ("{{if .None}}{{else}}{{else}}{{end}}", "else can't be here"),
        ("{{if .None}}{{else if .Routes}}{{end}}", "else if .Routes can't be here"),
        ("{{range .PodCIDR}}{{end}}", "is no list"),
        ("{{printf .PodCIDR 1}}", "no functions but and, eq"),
        ("{{.PodCIDR | len}}", "pipelines"),
        ("{{index .Routes 7}}", "out of range"),
        ("{{len}}", "len"),
        ("{{}}", "empty action"),
    ],
)
def test_what_is_not_known_is_refused_with_its_line(template, text):
    with pytest.raises(FailedPrecondition, match=text):
        render(template, VALUES)


@given(st.text().filter(lambda text: "{{" not in text))
def test_a_template_without_actions_is_itself(text):
    assert render(text, VALUES) == text


@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{{-", "-}}", "range", "if", "end", "else", "$x", ".Routes", ":=", '"', "7", "index", " "]
        )
    )
)
def test_whatever_stands_there_is_rendered_or_refused(words):
    with suppress(FailedPrecondition):
        render("".join(words), VALUES)
