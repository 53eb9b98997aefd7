"""The part of Go's text/template that CNI configuration templates use (`conf_template`).

Values are strings and lists of strings. There are `{{.Field}}`, `{{$variable}}`, `range`, `if`, `else`, `with` and
`end`, comments, the trimming `{{-` and `-}}`, and the functions and, eq, index, len, ne, not, or. Anything else is
refused by name, with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from cri_shim.errors import FailedPrecondition

Value: TypeAlias = str | int | bool | Sequence[str]

_ACTION: Final = re.compile(r"(?:\s*(?={{-\s))?{{(-\s)?(?:(/\*.*?\*/)|(.*?))(\s-)?}}", re.DOTALL)
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,()|]+|\S')
_DECLARED: Final = re.compile(r"(?:(\$\w+)\s*,\s*)?(\$\w+)\s*:=\s*(.*)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t"}


@dataclass
class _Text:
    text: str


@dataclass
class _Action:
    """A value to print, or a block: its keyword, its condition, what it holds, and what else."""

    line: int
    keyword: str
    expression: str
    body: list[_Text | _Action] = field(default_factory=list)
    otherwise: list[_Text | _Action] = field(default_factory=list)


_Node: TypeAlias = _Text | _Action


@dataclass(frozen=True)
class _Scope:
    """What names mean: `.` and the variables."""

    dot: object
    variables: Mapping[str, object]

    def inside(self, dot: object, **variables: object) -> _Scope:
        return _Scope(dot, {**self.variables, **variables})


def render(template: str, values: Mapping[str, Value]) -> str:
    """`template` filled with `values`; FailedPrecondition for one that can't be, naming the line."""
    return "".join(_render(_parse(template), _Scope(values, {"$": values})))


def _parse(template: str) -> list[_Node]:
    root: list[_Node] = []
    opened: list[tuple[_Action, bool]] = []  # blocks, and whether their `else` has been met
    into, at, trim = root, 0, False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        into.append(_Text(text.lstrip() if trim else text))
        at, trim = match.end(), match[4] is not None
        if match[2] is None:
            into = _open_or_close(_action(match, template), root, opened, into)
    if opened:
        raise _wrong(opened[-1][0].line, f"{opened[-1][0].keyword} has no end")
    text = template[at:]
    into.append(_Text(text.lstrip() if trim else text))
    return root


def _action(match: re.Match[str], template: str) -> _Action:
    line = template.count("\n", 0, match.start(3)) + 1
    keyword, _, rest = match[3].strip().partition(" ")
    if keyword in {"range", "if", "with", "else", "end"}:
        return _Action(line, keyword, rest.strip())
    return _Action(line, "", match[3].strip())


def _open_or_close(
    action: _Action, root: list[_Node], opened: list[tuple[_Action, bool]], into: list[_Node]
) -> list[_Node]:
    """Where the next nodes go, once `action` has been put where it belongs."""
    if action.keyword in {"else", "end"}:
        if not opened:
            raise _wrong(action.line, f"{action.keyword} without a block")
        block, had_else = opened.pop()
        if action.keyword == "end":
            return _holding(opened, root)
        if had_else or action.expression:
            raise _wrong(action.line, f"else {action.expression}".strip() + " can't be here")
        opened.append((block, True))
        return block.otherwise
    into.append(action)
    if not action.keyword:
        return into
    opened.append((action, False))
    return action.body


def _holding(opened: list[tuple[_Action, bool]], root: list[_Node]) -> list[_Node]:
    if not opened:
        return root
    block, had_else = opened[-1]
    return block.otherwise if had_else else block.body


def _render(nodes: Sequence[_Node], scope: _Scope) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, _Text):
            yield node.text
        elif node.keyword:
            yield from _block(node, scope)
        else:
            yield _printed(_evaluate(node.expression, node.line, scope))


def _block(node: _Action, scope: _Scope) -> Iterator[str]:
    declared = _DECLARED.fullmatch(node.expression)
    value = _evaluate(declared[3] if declared else node.expression, node.line, scope)
    names = [name for name in declared.groups()[:2] if name] if declared else []
    if not value:
        yield from _render(node.otherwise, scope)
    elif node.keyword == "range":
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise _wrong(node.line, f"range over {node.expression}, which is no list")
        for index, element in enumerate(value):
            pair = (index, element) if len(names) > 1 else (element,)
            yield from _render(node.body, scope.inside(element, **dict(zip(names, pair, strict=False))))
    else:
        dot = value if node.keyword == "with" else scope.dot
        yield from _render(node.body, scope.inside(dot, **dict.fromkeys(names, value)))


def _evaluate(expression: str, line: int, scope: _Scope) -> object:
    words = _WORD.findall(expression)
    if not words:
        raise _wrong(line, "an empty action")
    if (function := _FUNCTIONS.get(words[0])) is None:
        if len(words) > 1:
            known = ", ".join(_FUNCTIONS)
            raise _wrong(line, f"{expression}: no functions but {known} are known here, nor pipelines")
        return _value(words[0], line, scope)
    try:
        return function(*(_value(word, line, scope) for word in words[1:]))
    except (TypeError, IndexError, ValueError) as error:
        raise _wrong(line, f"{expression}: {error}") from error


def _value(word: str, line: int, scope: _Scope) -> object:
    if word.startswith('"'):
        return re.sub(r"\\(.)", lambda match: _ESCAPED.get(match[1], match[1]), word[1:-1])
    if re.fullmatch(r"-?\d+", word):
        return int(word)
    name, *fields = word.split(".")
    if name and name not in scope.variables:
        raise _wrong(line, f"{word} means nothing here")
    found = scope.variables[name] if name else scope.dot
    for key in filter(None, fields):
        if not isinstance(found, Mapping) or key not in found:
            raise _wrong(line, f"{word}: there is no {key}")
        found = found[key]
    return found


def _index(values: Sequence[str], number: int) -> str:
    if number < 0:
        raise IndexError(f"index {number} is out of range")
    return values[number]


_FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "eq": lambda first, *others: first in others,
    "index": _index,
    "len": len,
    "ne": lambda one, other: one != other,
    "not": lambda value: not value,
    "or": lambda *values: next((value for value in values if value), values[-1]),
}


def _printed(value: object) -> str:
    """As Go prints it: a list in brackets, its elements apart by blanks."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(_printed, value))}]"
    return str(value)


def _wrong(line: int, what: str) -> FailedPrecondition:
    return FailedPrecondition(f"line {line} of the template: {what}")
