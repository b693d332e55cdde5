"""A public system's own code: imported anew, isolated from other modules, run in its own folder."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import io
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from stability.errors import EditorError, SettingsError, with_type

log = logging.getLogger(__name__)

OWN = __name__.partition(".")[0]


class System:
    """The modules of one public system, importable and in `sys.modules` only while it is `active`.

    Those systems keep caches, flags and executors in module globals, and two of them may both have a package
    called `util`. So each instance imports the system's modules anew, and only this instance sees them:
    nothing left behind by one run, model or system can affect another.

    `names` are the dotted names that will be looked up; the modules in a folder also belong to the system.
    With `cwd`, the system is imported and run inside that folder, which may also contain its modules.
    """

    def __init__(self, names: Iterable[str], folders: Iterable[str] = (), cwd: str | None = None) -> None:
        self._cwd = _folder(cwd) if cwd is not None else None
        own = [_folder(folder) for folder in folders] + ([self._cwd] if self._cwd else [])
        self._folders = [str(folder) for folder in own] or [str(Path.cwd())]
        self._tops = {name.replace(":", ".").partition(".")[0] for name in names}
        self._tops = (self._tops | {top for folder in own for top in _modules_in(folder)}) - {OWN}
        self._modules: dict[str, ModuleType] = {}
        self._imported: dict[str, str] = {}  # values of the globals right after import

    @contextmanager
    def active(self) -> Iterator[None]:
        """While open, Python sees the system's modules, and what the system prints goes to the log."""
        others = self._take_out()
        sys.modules.update(self._modules)
        sys.path[:0] = self._folders
        try:
            place = chdir(self._cwd) if self._cwd else nullcontext()
            with place, redirect_stdout(_ToLog(log)) as stream, redirect_stderr(stream):
                yield
        finally:
            for folder in self._folders:
                sys.path.remove(folder)
            self._modules = self._take_out()
            sys.modules.update(others)

    def find(self, name: str) -> Any:
        """The object of a dotted name, `package.module.attribute` or `package.module:attribute`.

        A method that is named through its class is bound to a new instance.

        Raises:
            SettingsError: there is no such module or attribute.
            EditorError: importing it failed.
        """
        parts = name.replace(":", ".").split(".")
        with self.active():
            importlib.invalidate_caches()
            found, depth = self._import(parts, name)
            place = ".".join(parts[:depth])
            for part in parts[depth:]:
                if not hasattr(found, part):
                    near = difflib.get_close_matches(part, [key for key in vars(found) if key[0] != "_"], n=1)
                    hint = f", did you mean {near[0]!r}?" if near else ""
                    raise SettingsError(f"{name}: there is no {part!r} in {place}{hint}")
                method = inspect.isclass(found) and inspect.isfunction(inspect.getattr_static(found, part))
                found = getattr(found() if method else found, part)
                place = f"{place}.{part}"
        fresh = {key: _text(value) for key, value in self._globals() if key not in self._imported}
        self._imported.update(fresh)
        return found

    def fingerprint(self) -> str:
        """A hash of the system's source files, without importing them."""
        digest = hashlib.sha256()
        for top in sorted(self._tops):
            for file in self._files(top):
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def reads(self, name: str) -> bool:
        """Whether its source has an attribute of that name, or the name as a text."""
        written = re.compile(rf"\.{re.escape(name)}\b|([\"']){re.escape(name)}\1")
        sources = (file for top in sorted(self._tops) for file in self._files(top))
        return any(written.search(file.read_text(encoding="utf-8", errors="replace")) for file in sources)

    def state(self) -> dict[str, Any]:
        """The module globals that changed since import, as far as they are JSON values or tensors."""
        return {
            key: value
            for key, value in self._globals()
            if isinstance(value, Tensor) or _text(value) != self._imported.get(key)
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Set module globals to what `state` gave."""
        with self.active():
            for key, value in state.items():
                module, _, name = key.partition(":")
                setattr(importlib.import_module(module), name, value)

    def place(self, error: BaseException) -> str:
        """File and line of an error: in the system's own code, if one of its frames is there."""
        frames = traceback.extract_tb(error.__traceback__)
        files = {getattr(module, "__file__", None) for module in self._modules.values()}
        inside = [frame for frame in frames if frame.filename in files] or frames
        return f"{Path(inside[-1].filename).name}:{inside[-1].lineno}"

    def _import(self, parts: list[str], name: str) -> tuple[Any, int]:
        """The deepest module of a dotted name's parts, and how many parts it took."""
        found: Any = None
        for depth in range(1, len(parts) + 1):
            module = ".".join(parts[:depth])
            try:
                found = importlib.import_module(module)
            except ModuleNotFoundError as error:
                if error.name == module and depth > 1:
                    return found, depth - 1
                if error.name == module:
                    raise SettingsError(
                        f"{name}: there is no module {module!r}; install it, or set `cwd` or `path` to the "
                        f"folder that holds it (looked in {', '.join(self._folders)})"
                    ) from error
                raise EditorError(
                    f"{name}: importing {module} failed: it needs {error.name!r}, which is not installed"
                ) from error
            except (Exception, SystemExit) as error:  # third-party code may raise anything
                self._modules = {key: value for key, value in sys.modules.items() if self._owns(key)}
                raise EditorError(
                    f"{name}: importing {module} failed: {with_type(error)} ({self.place(error)})"
                ) from error
        return found, len(parts)

    def _files(self, top: str) -> list[Path]:
        """The source files of a top-level module; none if it is not there."""
        spec = PathFinder.find_spec(top, [*self._folders, *sys.path])
        if spec is None:
            return []
        if spec.submodule_search_locations is None:
            return [Path(spec.origin)] if spec.origin else []
        return sorted(file for place in spec.submodule_search_locations for file in Path(place).rglob("*.py"))

    def _globals(self) -> Iterator[tuple[str, Any]]:
        """`module:name` and value of every plain module global."""
        for module, content in sorted(self._modules.items()):
            for name, value in vars(content).items():
                if not name.startswith("__") and (isinstance(value, Tensor) or _is_plain(value)):
                    yield f"{module}:{name}", value

    def _take_out(self) -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if self._owns(name)}

    def _owns(self, module: str) -> bool:
        return module.partition(".")[0] in self._tops


class _ToLog(io.TextIOBase):
    """A text stream whose lines go to a logger."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._rest = ""
        self._writing = False

    def write(self, text: str) -> int:
        if self._writing:  # a log handler of the system itself writes here
            return len(text)
        *lines, self._rest = re.split("[\r\n]", self._rest + text)
        self._writing = True
        try:
            for line in filter(str.strip, lines):
                self._logger.debug("%s", line)
        finally:
            self._writing = False
        return len(text)


def _folder(path: str) -> Path:
    return Path(path).expanduser().resolve()


def _modules_in(folder: Path) -> set[str]:
    """The names of the modules and packages in a folder."""
    files = {file.stem for file in folder.glob("*.py")}
    return files | {file.parent.name for file in folder.glob("*/__init__.py")}


def _is_plain(value: object) -> bool:
    """Whether JSON keeps the value as it is."""
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, float, str)


def _text(value: object) -> str:
    return "tensor" if isinstance(value, Tensor) else json.dumps(value)
