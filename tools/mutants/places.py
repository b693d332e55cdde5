"""Where in a file faults are put, and where not, since there they change nothing that a test could see.

Left out are, by their place: docstrings; annotations, and what only a type checker reads; all words of
messages: what is inside an f-string, in what is raised, warned or logged, and every string but those that are
compared or looked up; assertions, and the `strict` of zip, which asserts; the arguments of `@dataclass` and
what `repr` shows; `__all__`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.mutants.kinds import faults

ROOT = Path(__file__).parents[2]
TYPES = ("Literal", "Callable", "Mapping", "Sequence", "Iterator", "Unpack", "ClassVar")


@dataclass(frozen=True)
class Place:
    """A field of a node of a tree, and its position in it if that is a list."""

    node: ast.AST
    field: str
    position: int | None

    def get(self) -> ast.AST:
        """What stands there."""
        value = getattr(self.node, self.field)
        return value if self.position is None else value[self.position]

    def put(self, other: ast.AST) -> None:
        """Put another node there."""
        if self.position is None:
            setattr(self.node, self.field, other)
        else:
            getattr(self.node, self.field)[self.position] = other


@dataclass(frozen=True)
class Scope:
    """Where in a file something stands: the names of the classes and functions around it."""

    name: str = ""
    is_function: bool = False

    def inside(self, node: ast.AST) -> Scope:
        """That of what is inside this node."""
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            return Scope(self.name, self.is_function or isinstance(node, ast.Lambda))
        is_function = self.is_function or isinstance(node, ast.FunctionDef)
        return Scope(f"{self.name}.{node.name}".lstrip("."), is_function)


@dataclass(frozen=True)
class Mutant:
    """One fault in one file.

    `first` and `last` are the lines of its statement, `scope` is its function or class. A mutant `at_import`
    is outside of functions: its line is executed when the file is imported.
    """

    file: str
    scope: str
    kind: str
    before: str
    after: str
    number: int  # of those of the file, in order
    twin: int  # of those that are else alike
    line: int
    first: int
    last: int
    at_import: bool

    @property
    def key(self) -> str:
        """What it is called: stays while the code around it changes."""
        text = "\0".join((self.file, self.scope, self.kind, self.before, self.after, str(self.twin)))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def module_of(file: str) -> str:
    """The name that the file is imported by."""
    parts = Path(file).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def mutants(file: str) -> list[Mutant]:
    """Every fault in a file, its path as seen from the repository."""
    seen: dict[tuple[str, ...], int] = {}
    found: list[Mutant] = []
    for number, (place, statement, scope, kind, made) in enumerate(_all(_tree(file))):
        node = place.get()
        before, after = _shown(statement, place, node), _shown(statement, place, made)
        likeness = (scope.name, kind, before, after)
        twin = seen[likeness] = seen.get(likeness, -1) + 1
        first, last = getattr(statement, "lineno", 1), _header_end(statement)
        line = getattr(node, "lineno", first)
        of = (file, scope.name, kind, before, after, number, twin, line, first, last, not scope.is_function)
        found.append(Mutant(*of))
    return [mutant for mutant in found if mutant.before != mutant.after]


def mutated(file: str, number: int) -> ast.Module:
    """The tree of a file with the fault of that number in it."""
    tree = _tree(file)
    for position, (place, _, _, _, made) in enumerate(_all(tree)):
        if position == number:
            place.put(made)
            return ast.fix_missing_locations(tree)
    raise IndexError(f"{file} has no fault {number}")


def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def _all(tree: ast.Module) -> Iterator[tuple[Place, ast.AST, Scope, str, ast.AST]]:
    for place, statement, scope in _places(tree, tree, Scope()):
        for kind, made in faults(place.get()):
            yield place, statement, scope, kind, made


def _places(node: ast.AST, statement: ast.AST, scope: Scope) -> Iterator[tuple[Place, ast.AST, Scope]]:
    """The places below a node, each with its statement and its scope."""
    for field, value in ast.iter_fields(node):
        if _is_left_out(node, field):
            continue
        children = value if isinstance(value, list) else [value]
        for position, child in enumerate(children):
            if not isinstance(child, ast.AST) or _changes_nothing(node, field, child):
                continue
            of = child if isinstance(child, ast.stmt) else statement
            yield Place(node, field, position if isinstance(value, list) else None), of, scope
            yield from _places(child, of, scope.inside(child))


def _is_left_out(node: ast.AST, field: str) -> bool:
    """Whether no fault is put anywhere into that field of the node."""
    if field in ("annotation", "returns", "type_comment", "type_params"):
        return True
    if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr)):
        return True
    return isinstance(node, ast.ClassDef) and field == "decorator_list"


def _changes_nothing(parent: ast.AST, field: str, child: ast.AST) -> bool:
    """Whether a fault anywhere in this child would be none that a test could see."""
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True  # a docstring
    if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
        return True
    if isinstance(child, ast.Constant) and isinstance(child.value, str):
        return not _is_compared(parent, field)
    if isinstance(child, (ast.Assign, ast.AnnAssign)):
        targets = child.targets if isinstance(child, ast.Assign) else [child.target]
        name = targets[0].id if isinstance(targets[0], ast.Name) else ""
        return name in ("__all__", "__slots__") or _is_type(child.value)
    if isinstance(child, ast.keyword):
        return child.arg in ("strict", "repr")
    if isinstance(child, ast.Subscript):
        return _is_type(child)
    call = child.value if isinstance(child, ast.Expr) else child
    called = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
    return called in ("warnings.warn", "cast") or called.lower().startswith(("logger.", "log."))


def _is_compared(parent: ast.AST, field: str) -> bool:
    """Whether a string there is compared, or looked up."""
    if isinstance(parent, ast.Compare):
        return True
    if isinstance(parent, (ast.Tuple, ast.Set, ast.List)):
        return False
    return (isinstance(parent, ast.Subscript) and field == "slice") or isinstance(parent, ast.MatchValue)


def _is_type(node: ast.AST | None) -> bool:
    """Whether an expression is a type, which only checkers and pydantic read."""
    if isinstance(node, ast.Subscript):
        return ast.unparse(node.value) in TYPES
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("TypeVar", "NewType")


def _header_end(statement: ast.AST) -> int:
    """The last line of a statement without those in it; of a function, which has defaults, the last."""
    if isinstance(statement, ast.FunctionDef):
        return statement.end_lineno or 1
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        return max(getattr(statement, "lineno", 1), body[0].lineno - 1)
    return getattr(statement, "end_lineno", None) or 1


def _shown(statement: ast.AST, place: Place, node: ast.AST) -> str:
    """The statement's first line with this node in its place."""
    kept = place.get()
    if kept is statement:
        return ast.unparse(node).partition("\n")[0]
    place.put(node)
    try:
        text = ast.unparse(statement if isinstance(statement, ast.stmt) else node)
    finally:
        place.put(kept)
    return text.partition("\n")[0]
