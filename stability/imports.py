"""Importing what a user names by path, by dotted name or by entry point: whatever goes wrong is one line."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from stability.errors import StabilityError, UsageError, with_type
from stability.parts import H, Kind, Part, origin

PACKAGE = Path(__file__).parent
IMPORT_SYSTEM = Path(importlib.__file__).parent
INSTALLED = tuple(
    Path(path)
    for name, path in sysconfig.get_paths().items()
    if name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def import_named(name: str, noun: str, usual: str, raised: type[StabilityError]) -> tuple[object, str] | None:
    """What `./file.py:attribute` or `package.module:attribute` names, and whether by `path` or `dotted name`.

    None for a plain name, which only a list can find. `usual` is the attribute of a file that names none,
    empty if one has to be named; `noun` is what errors call it, such as `editor`.

    Raises:
        StabilityError: of the type `raised`: there is no such file, module or attribute, or importing failed.
    """
    location, attribute = _split(name)
    if _is_path(location):
        if not (attribute or usual):
            raise raised(f"{noun} {name}: write which one of the file it is, as in {name}:NAME")
        module = _import_file(name, noun, Path(location).expanduser(), raised)
        return _attribute(module, attribute or usual, f"{noun} {name}", raised), "path"
    if attribute is None:
        return None
    with _importable(Path.cwd()), in_one_line(f"{noun} {name}: importing it", raised):
        module = importlib.import_module(location)
    return _attribute(module, attribute, f"{noun} {name}", raised), "dotted name"


def file_of(name: str) -> Path | None:
    """The file that a path or a dotted name names; None for a plain name, and where there is no such file."""
    location, attribute = _split(name)
    if _is_path(location):
        return Path(location).expanduser()
    if attribute is None:
        return None
    with _importable(Path.cwd()), suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(location)
        return Path(spec.origin) if spec is not None and spec.origin else None
    return None


def own_files(file: Path) -> list[Path]:
    """A Python file and those that it imports from its own folder, its package or the working folder, sorted.

    Imports inside of functions count as well. A file that only has the name of something else that the code
    mentions may be among them.
    """
    found: set[Path] = set()
    waiting = [file.resolve()]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        try:
            code = SourceFileLoader(file.stem, str(file)).source_to_code(file.read_bytes(), str(file))
        except (OSError, SyntaxError, ValueError):  # it cannot be imported
            continue
        waiting += _named_files(_names(code), [file.parent, *_packages(file), Path.cwd()])
    return sorted(found)


def _names(code: CodeType) -> set[str]:
    inside = (_names(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inside)


def _packages(file: Path) -> Iterator[Path]:
    """The folders above a module in which its package and those above it lie."""
    folder = file.parent
    while (folder / "__init__.py").exists() and folder != folder.parent:
        folder = folder.parent
        yield folder


def _named_files(names: set[str], folders: list[Path]) -> Iterator[Path]:
    """The modules of these names in the folders, and in the packages of these names there."""
    for folder in (found for found in folders if not _is_installed(str(found / "file.py"))):
        for name in names:
            yield from _modules(folder, name)
            package = folder.joinpath(*name.split("."))
            if package.is_dir():
                yield from (module for inner in names for module in _modules(package, inner))


def _modules(folder: Path, name: str) -> Iterator[Path]:
    """`a.py`, or `a/__init__.py` and `a/b.py`, for `a.b`."""
    path = folder
    for part in name.split("."):
        path = path / part
        for file in (path.with_name(f"{part}.py"), path / "__init__.py"):
            if part and PACKAGE not in file.parents and file.is_file():
                yield file.resolve()


def is_plain(name: str) -> bool:
    """Whether it is neither a path nor a dotted name, so that only a list can find it."""
    location, attribute = _split(name)
    return attribute is None and not _is_path(location)


def import_point(point: metadata.EntryPoint, noun: str, raised: type[StabilityError]) -> object:
    """What the entry point of another package names.

    Raises:
        StabilityError: of the type `raised`: importing it failed.
    """
    with in_one_line(f"{noun} {point.name}: importing it", raised):
        found: object = point.load()
    return found


def import_part(point: metadata.EntryPoint, kind: Kind[H], raised: type[StabilityError]) -> Part[H]:
    """The part of another package that an entry point names.

    Raises:
        StabilityError: of the type `raised`: importing it failed, or it has no head of its kind.
    """
    found = import_point(point, kind.noun, raised)
    head = getattr(found, "head", None)
    if not isinstance(head, kind.head):
        raise raised(
            f"{kind.noun} {point.name} ({origin(point)}): its head is {head!r}, no {kind.head.__name__}"
        )
    version = point.dist.version if point.dist else None
    return Part(replace(head, name=point.name), found, origin(point), version)


def find_part(kind: Kind[H], name: str, raised: type[StabilityError]) -> Part[H]:
    """The part of that name, built in or another package's.

    Raises:
        UsageError: there is none.
        StabilityError: of the type `raised`, as for `import_part`.
    """
    if name in kind.built_in():
        return kind.built_in()[name]
    if name in kind.points():
        return import_part(kind.points()[name], kind, raised)
    raise UsageError(f"no {kind.noun} is called {name!r}; there are {', '.join(kind.names())}")


@contextmanager
def in_one_line(doing: str, raised: type[StabilityError]) -> Iterator[None]:
    """Turn whatever the code of others raises into one line: `DOING failed at FILE:LINE: TYPE: MESSAGE`.

    Raises:
        StabilityError: of the type `raised`, in place of anything but it and errors of usage.
    """
    try:
        yield
    except (raised, UsageError):
        raise
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        raise raised(f"{doing} failed{_place(error)}: {with_type(error)}") from error


def _place(error: BaseException) -> str:
    """The last line outside this package and the import system, preferably not of installed code.

    Frames of installed code may be in between: a tracker may replace `sys.exit` by a function of its own.
    """
    if isinstance(error, SyntaxError):
        return f" at {error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_outside(frame.filename)]
    frames = [frame for frame in frames if not _is_installed(frame.filename)] or frames
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _is_outside(filename: str) -> bool:
    path = Path(filename)
    return not filename.startswith("<frozen") and path.parent != IMPORT_SYSTEM and PACKAGE not in path.parents


def _is_installed(filename: str) -> bool:
    return any(folder in Path(filename).parents for folder in INSTALLED)


def _split(name: str) -> tuple[str, str | None]:
    """`location:attribute`; the part behind the last colon only if it can be an attribute."""
    location, colon, attribute = name.rpartition(":")
    if colon and all(part.isidentifier() for part in attribute.split(".")):
        return location, attribute
    return name, None


def _is_path(location: str) -> bool:
    return location.endswith(".py") or "/" in location or "\\" in location


def _import_file(name: str, noun: str, path: Path, raised: type[StabilityError]) -> ModuleType:
    if not path.is_file():
        raise raised(f"{noun} {name}: there is no file {path}")
    path = path.resolve()
    # Named by its path, so that two files of one name do not take each other's place.
    module_name = f"stability_{noun}_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}".replace(" ", "_")
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise raised(f"{noun} {name}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # pydantic and dataclasses look their module up there
    with _importable(path.parent), in_one_line(f"{noun} {name}: importing it", raised):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Allow imports from a folder, as when Python runs a file in it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _attribute(module: ModuleType, path: str, called: str, raised: type[StabilityError]) -> object:
    found: object = module
    for part in path.split("."):
        if not hasattr(found, part):
            public = [
                key for key, value in vars(found).items() if callable(value) and not key.startswith("_")
            ]
            close = difflib.get_close_matches(part, public, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            has = f" (it has {', '.join(public)})" if public else ""
            raise raised(f"{called}: there is no {part!r} in it{hint}{has}")
        found = getattr(found, part)
    return found
