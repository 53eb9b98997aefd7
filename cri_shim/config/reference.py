"""All settings as a Markdown document, from the dataclasses themselves: fields, defaults, the comments beside them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import re
import textwrap
import tokenize
import typing
from collections.abc import Mapping
from functools import cache

from cri_shim.config.durations import Seconds
from cri_shim.config.handover import WITHOUT_EFFECT
from cri_shim.config.loader import PLUGINS, default
from cri_shim.config.source import written
from cri_shim.config.writer import inline, tree

if typing.TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Options

cri-shim reads containerd's own files, `/etc/containerd/config.toml` and what it imports, and then its own on top,
`/etc/cri-shim/config.toml`; both may hold any of these tables. Names and defaults are containerd's, and so is what an
option means, but for the first table. Versions 2, 3 and 4 of containerd's layout are read; names here are version 3's.
`cri-shim config dump` prints what is in force, `cri-shim config migrate` brings a containerd's file over.

Durations are Go's: `"10s"`, `"1m30s"`. A change takes effect when cri-shim is restarted, of `log_level` and
`registry` on SIGHUP.

<!-- Made by `cri-shim config reference` from the comments in cri_shim/config. -->
"""
_FIRST = ("shim", "runtime", "images", "streaming")
_NAMES = {str: "text", bool: "true or false", int: "number", object: "value"}
_WITHOUT_EFFECT = " (no effect in cri-shim)"


def reference() -> str:
    """The document."""
    return "\n".join([_HEAD, *_document()]) + "\n"


def _document() -> Iterator[str]:
    settings = default()
    for name in (*_FIRST, *(other for other in PLUGINS if other not in _FIRST)):
        yield from _section(type(getattr(settings, name)), f'plugins."{PLUGINS[name]}"', name, getattr(settings, name))
    yield from _section(type(settings.containerd), "", "containerd", settings.containerd)


def _section(cls: type, table: str, attribute: str, value: object) -> Iterator[str]:
    """A class's table, then those of the classes in it."""
    title = f"`[{table}]`" if table else "The top level"
    yield from (f"## {title}", "", _sentence(cls), "", "| key | kind | default | |", "|---|---|---|---|")
    below = []
    for field in _fields(cls):
        hint = _hints(cls)[field.name]
        inner, shape = _inner(hint)
        if inner:
            below.append((inner, _below(table, field.name, shape), f"{attribute}.{field.name}{shape}"))
        if not inner or shape:
            yield _row(cls, field, hint, f"{attribute}.{field.name}", value)
    yield ""
    for inner, path, name in below:
        yield from _section(inner, path, name, inner())


def _row(cls: type, field: dataclasses.Field[object], hint: object, attribute: str, value: object) -> str:
    shown = tree(value).get(field.name, {})
    given = f"`{inline(shown)}`" if shown not in ({}, [], "") and not _inner(hint)[0] else ""
    said = _comments(cls).get(field.name, "")
    if any(re.fullmatch(pattern, attribute.replace(".<name>", ".x")) for pattern in WITHOUT_EFFECT):
        said += _WITHOUT_EFFECT
    return f"| `{written(field.name)}` | {_kind(hint)} | {given} | {said.strip().replace('|', '&#124;')} |".replace(
        "  |", " |"
    )


def _fields(cls: type) -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(typing.cast("typing.Any", cls))


def _below(table: str, name: str, shape: str) -> str:
    return ".".join(part for part in (table, name) if part) + shape


def _inner(hint: object) -> tuple[type | None, str]:
    """The class in a field, and how many there are of it: one, one for each name, a list."""
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    inner, shape = hint, ""
    if origin is Mapping:
        inner, shape = arguments[1], ".<name>"
    elif origin is tuple:
        inner, shape = arguments[0], "[]"
    return (inner, shape) if isinstance(inner, type) and dataclasses.is_dataclass(inner) else (None, "")


def _kind(hint: object) -> str:
    arguments, origin = typing.get_args(hint), typing.get_origin(hint)
    if hint == Seconds:
        return "duration"
    if origin is tuple:
        return "list of tables" if dataclasses.is_dataclass(arguments[0]) else f"list of {_kind(arguments[0])}s"
    if origin is Mapping:
        return "table by name"
    return _NAMES[typing.cast("type", hint)]


@cache
def _hints(cls: type) -> Mapping[str, object]:
    return typing.get_type_hints(cls, include_extras=True)


def _sentence(cls: type) -> str:
    """What the class's docstring says beside the name of its table."""
    text = " ".join((inspect.getdoc(cls) or "").split())
    if text.startswith(("`[", "One `[")):
        text = text[max(text.rfind("]`"), 0) + 2 :].lstrip(":,; ")
    return text[:1].upper() + text[1:]


@cache
def _comments(cls: type) -> Mapping[str, str]:
    """The comment beside each field, by the field's name."""
    source = textwrap.dedent(inspect.getsource(cls))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    body = typing.cast("ast.ClassDef", ast.parse(source).body[0]).body
    found = {}
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.end_lineno:
            lines = [by_line[line] for line in range(node.lineno, node.end_lineno + 1) if line in by_line]
            found[node.target.id] = " ".join(lines)
    return found
