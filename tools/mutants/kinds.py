"""The kinds of faults: for a node of a syntax tree, the nodes that may stand in its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

Fault = tuple[str, ast.AST]  # its kind, and the node that takes the place of the original

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
CALLS = {
    name: other
    for pair in (
        ("max", "min"),
        ("any", "all"),
        ("amax", "amin"),
        ("argmax", "argmin"),
        ("mean", "sum"),
        ("median", "mean"),
        ("union", "intersection"),
        ("startswith", "endswith"),
        ("floor", "ceil"),
        ("zeros", "ones"),
    )
    for name, other in (pair, pair[::-1])
} | {"mean": "sum", "nanmax": "nanmin", "isfinite": "isnan"}
UNWRAPPED = frozenset(("abs", "sorted", "reversed", "set", "abs_", "clamp", "square"))


def faults(node: ast.AST) -> Iterator[Fault]:
    """Every fault at this node; its children have their own."""
    for kind, made in _OF.get(type(node), _none)(node):
        yield kind, ast.copy_location(made, node)


def _none(_: Any) -> Iterator[Fault]:
    yield from ()


def _compare(node: ast.Compare) -> Iterator[Fault]:
    for position, operator in enumerate(node.ops):
        for other in COMPARISONS[type(operator)]:
            changed = deepcopy(node)
            changed.ops[position] = other()
            yield "comparison", changed


def _boolean(node: ast.BoolOp) -> Iterator[Fault]:
    yield "and, or", ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for position in range(len(node.values)):
        left = node.values[:position] + node.values[position + 1 :]
        yield "a condition less", left[0] if len(left) == 1 else ast.BoolOp(node.op, left)


def _unary(node: ast.UnaryOp) -> Iterator[Fault]:
    if isinstance(node.op, (ast.Not, ast.USub, ast.Invert)):
        yield "not, minus", node.operand


def _binary(node: ast.BinOp) -> Iterator[Fault]:
    if type(node.op) in OPERATORS and not _is_text(node.left) and not _is_text(node.right):
        yield "arithmetic", ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _constant(node: ast.Constant) -> Iterator[Fault]:
    if isinstance(node.value, bool):
        yield "true, false", ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield "number", ast.Constant(node.value + 1)
        if node.value > 0:
            yield "number", ast.Constant(node.value - 1)
    elif isinstance(node.value, float):
        yield "number", ast.Constant(node.value * 2 + (node.value == 0))
    elif isinstance(node.value, str):  # of those that are compared or looked up: places.py
        yield "word", ast.Constant(node.value + "-")


def _condition(node: ast.If | ast.While | ast.IfExp) -> Iterator[Fault]:
    if not isinstance(node.test, (ast.Compare, ast.BoolOp)) and not _is_not(node.test):
        changed = deepcopy(node)
        changed.test = ast.UnaryOp(ast.Not(), changed.test)
        yield "condition", changed


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _comprehension(node: ast.comprehension) -> Iterator[Fault]:
    for position in range(len(node.ifs)):
        changed = deepcopy(node)
        del changed.ifs[position]
        yield "a condition less", changed


def _call(node: ast.Call) -> Iterator[Fault]:
    name = node.func
    called = name.id if isinstance(name, ast.Name) else name.attr if isinstance(name, ast.Attribute) else ""
    if called in CALLS:
        changed = deepcopy(node)
        if isinstance(changed.func, ast.Name):
            changed.func.id = CALLS[called]
        elif isinstance(changed.func, ast.Attribute):
            changed.func.attr = CALLS[called]
        yield "call", changed
    if called in UNWRAPPED:
        if isinstance(name, ast.Name) and node.args:
            yield "a call less", node.args[0]
        elif isinstance(name, ast.Attribute) and not isinstance(name.value, ast.Name | ast.Constant):
            yield "a call less", name.value


def _returned(node: ast.Return) -> Iterator[Fault]:
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield "nothing returned", ast.Return(ast.Constant(None))


def _statement(node: ast.Expr | ast.Raise) -> Iterator[Fault]:
    if isinstance(node, ast.Raise) or isinstance(node.value, ast.Call):
        yield "a statement less", ast.Pass()


def _augmented(node: ast.AugAssign) -> Iterator[Fault]:
    yield "a statement less", ast.Pass()
    if type(node.op) in OPERATORS:
        yield "arithmetic", ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)


def _break(_: ast.Break) -> Iterator[Fault]:
    yield "break, continue", ast.Continue()


def _continue(_: ast.Continue) -> Iterator[Fault]:
    yield "break, continue", ast.Break()


_OF: dict[type[ast.AST], Any] = {
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.Constant: _constant,
    ast.If: _condition,
    ast.While: _condition,
    ast.IfExp: _condition,
    ast.comprehension: _comprehension,
    ast.Call: _call,
    ast.Return: _returned,
    ast.Expr: _statement,
    ast.Raise: _statement,
    ast.AugAssign: _augmented,
    ast.Break: _break,
    ast.Continue: _continue,
}
