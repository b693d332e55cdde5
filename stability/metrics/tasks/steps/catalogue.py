"""Finding lm-eval's tasks, groups and tags by name, and where their documents come from.

The world's tasks, those of `tasks.include_path` and lm-eval's own are known. Documents come from `tasks.data`
or the folder in STABILITY_DATA where it has them, else from where the task says, which is mostly the hub.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import lm_eval.tasks
import yaml
from datasets.exceptions import DatasetNotFoundError, DatasetsError
from lm_eval.api.group import Group
from lm_eval.api.task import Task
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from stability.errors import DataError, MeasurementError, with_type
from stability.metrics.tasks.steps.local_data import find_local
from stability.metrics.tasks.steps.quiet import quiet
from stability.metrics.tasks.steps.untrusted import refuse_code, sandbox_templates
from stability.models.modes import random_state
from stability.suite import TasksSpec
from stability.world import TASKS

# lm-eval's index of all its tasks takes ten seconds to read; these folders of it refer to nothing outside.
FREQUENT = ("mmlu/default", "glue")
FEWSHOT_SEED = 1234  # lm-eval's default
LOADER = "stability.metrics.tasks.steps.local_data.load"
# What lm-eval and datasets raise for a task or documents that they can make nothing of.
FAULTS = (
    AssertionError,
    AttributeError,
    DatasetsError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


class DataAbsentError(Exception):
    """A task's documents are nowhere to be had; the message says where they were looked for."""


@dataclass(frozen=True)
class Found:
    """What a name means: its leaf tasks by name, and the groups that they are in, itself included."""

    name: str
    tasks: Mapping[str, Task]
    groups: Mapping[str, Group] = field(default_factory=dict)


class Catalogue:
    """The tasks that a suite can name: an index when made, documents when asked for. Made for a `with`."""

    def __init__(self, spec: TasksSpec, names: tuple[str, ...]) -> None:
        """Index as little as knows all the names.

        Raises:
            DataError: a folder that the suite names does not exist or names code, or a group lists no tasks.
            MeasurementError: no task, group or tag has one of the names.
        """
        sandbox_templates()
        self._spec = spec
        self._data = _data_folder(spec)
        self._unreachable: dict[str | None, str] = {}
        self._open = ExitStack()
        own = [str(TASKS)]
        packaged = Path(lm_eval.tasks.__file__).parent
        if spec.include_path is not None:
            if not Path(spec.include_path).is_dir():
                raise DataError(f"tasks.include_path: there is no folder {spec.include_path}")
            if not spec.trust_code:
                refuse_code(Path(spec.include_path), trusted=(TASKS, packaged))
            own.append(str(Path(spec.include_path).resolve()))  # YAML in other folders includes it, too
        frequent = [str(packaged / folder) for folder in FREQUENT]
        with quiet():
            self._manager = TaskManager(include_path=[*frequent, *own], include_defaults=False)
        self._refuse_unknown(names, self._hidden)
        if not all(self._is_closed(name) for name in names):
            with quiet():
                self._manager = TaskManager(include_path=own)  # takes seconds
        self._refuse_unknown(names, self._like)
        for name in names:
            self._check_groups(name)
        self._leaves_wanted = tuple(dict.fromkeys(leaf for name in names for leaf in self._leaves(name)))

    def __enter__(self) -> Catalogue:
        folder = self._open.enter_context(tempfile.TemporaryDirectory())
        if self._data is not None:
            with quiet():
                self._use_local_data(self._data, Path(folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def find(self, name: str) -> Found:
        """Load a task, a group with all its members, or the tasks of a tag.

        Few-shot counts and seeds are set as lm-eval's own `simple_evaluate` sets them.

        Raises:
            DataAbsentError: documents that it needs are not here and cannot be fetched.
            DataError: documents are missing from a local folder, empty or malformed, or the task is.
        """
        for leaf in self._leaves(name):
            reason = self._unreachable.get(self._dataset(leaf))
            if reason is not None:
                raise DataAbsentError(reason)
        with quiet(), random_state(FEWSHOT_SEED):
            try:
                loaded = self._manager.load([name])
            except (ConnectionError, DatasetNotFoundError) as error:
                raise DataAbsentError(self._remember(name, error)) from error
            except StopIteration as error:  # what datasets makes of a file without a line
                raise DataError(f"task {name}: a file of its documents is empty") from error
            except IndexError as error:  # what lm-eval makes of no documents, when it looks at the first
                raise DataError(
                    f"task {name}: has no documents, or none is left of them ({with_type(error)})"
                ) from error
            except KeyError as error:
                raise DataError(f"task {name}: {self._absent_split(name, error)}") from error
            except FAULTS as error:
                raise DataError(f"task {name}: {with_type(error)}") from error
            groups = loaded.get("groups", {})
            if not loaded["tasks"] or not all(group.get_all_tasks() for group in groups.values()):
                raise DataError(f"task {name}: lm-eval loads it, or a group in it, without any task")
            for task in loaded["tasks"].values():
                _set_fewshot(task, self._spec.num_fewshot)
        return Found(name, loaded["tasks"], groups)

    def tag_members(self, name: str) -> tuple[str, ...]:
        """The tasks that a tag stands for; empty for a task or a group."""
        entry = self._manager.task_index[name]
        return tuple(sorted(entry.tags)) if entry.kind.name == "TAG" else ()

    def _use_local_data(self, data: Path, folder: Path) -> None:
        """Point the tasks that the local folder has documents for to it, by YAML that includes their own."""
        for leaf in self._leaves_wanted:
            entry = self._manager.task_index.get(leaf)
            if entry is None or entry.yaml_path is None:
                continue
            config = entry.cfg or {}
            local = find_local(data, leaf, config)
            if local is None or config.get("custom_dataset") is not None:
                continue
            training = config.get("training_split")
            overriding = {
                "include": str(entry.yaml_path),
                "task": leaf,
                "tag": None,
                "training_split": training if training in local.files else None,
                "dataset_kwargs": {
                    "data": str(data),
                    "task": leaf,
                    "dataset_path": str(config.get("dataset_path")),
                    "dataset_name": str(config.get("dataset_name")),
                },
            }
            text = yaml.safe_dump(overriding) + f"custom_dataset: !function {LOADER}\n"
            (folder / f"{leaf}.yaml").write_text(text, encoding="utf-8")
        index = TaskManager(include_path=str(folder), include_defaults=False).task_index
        self._manager.task_index.update(index)

    def _is_closed(self, name: str) -> bool:
        """Whether the index holds the name and everything that it refers to."""
        return name in self._manager.task_index and all(
            leaf in self._manager.task_index for leaf in self._leaves(name)
        )

    def _refuse_unknown(self, names: tuple[str, ...], why: Callable[[str], str | None]) -> None:
        """End with the first name that is not in the index, if something can be said of it."""
        for name in names:
            if name not in self._manager.task_index and (hint := why(name)) is not None:
                said = f"lm-eval knows no task, group or tag {name!r}{hint and '; '}{hint}"
                raise MeasurementError(said, kind="does_not_fit", task=name)

    def _like(self, name: str) -> str:
        close = get_close_matches(name, self._manager.all_tasks, n=3)
        return f"did you mean {' or '.join(close)}?" if close else ""

    def _hidden(self, name: str) -> str | None:
        """What is wrong with the file that defines a task, where that leaves it out of the index."""
        for entry in self._manager.task_index.values():
            if entry.kind.name == "GROUP" and entry.yaml_path and (entry.cfg or {}).get("task") == name:
                file = entry.yaml_path
                return f"{file} names it beside 'group', lm-eval's old form: write 'tag' in its place"
        folder = self._spec.include_path
        for file in () if folder is None else sorted(Path(folder).rglob("*.yaml")):
            try:
                config = load_yaml(file, resolve_func=False)
            except (yaml.YAMLError, *FAULTS) as error:
                if file.stem == name:
                    return f"{file}: {with_type(error)}"
                continue
            groups = config.get("group")
            if isinstance(groups, list) and name in (config.get("task"), *groups):
                listed = ", ".join(map(str, groups))
                return f"{file} has a list as 'group', lm-eval's old form: write 'tag: [{listed}]'"
        return None

    def _absent_split(self, name: str, error: KeyError) -> str:
        """Which split of whose documents there is not; the error, if that is about something else."""
        for leaf in self._leaves(name):
            entry = self._manager.task_index.get(leaf)
            for key, split in (entry.cfg or {} if entry is not None else {}).items():
                if key.endswith("_split") and split == error.args[0]:
                    return f"{entry.yaml_path}: {key}: its documents have no split {split!r}"
        return with_type(error)

    def _check_groups(self, name: str) -> None:
        """See that a group, and those in it, list tasks that there are.

        lm-eval's old form named the group in the task's own file; what it loads of that today is empty.
        """
        entry = self._manager.task_index[name]
        if entry.kind.name != "GROUP":
            return
        place, children = f"{entry.yaml_path}: group {name}", (entry.cfg or {}).get("task")
        if isinstance(children, str):
            raise DataError(
                f"{place}: expected a list of tasks, got {children!r}; if that is this file's own task, "
                f"'group' is lm-eval's old form: write 'tag: {name}'"
            )
        if not isinstance(children, list) or not children:
            raise DataError(f"{place}: holds no tasks; expected a list of them in 'task'")
        for child in children:
            if isinstance(child, str):
                if child not in self._manager.task_index:
                    raise DataError(f"{place}: lm-eval knows no task {child!r}")
                self._check_groups(child)

    def _leaves(self, name: str) -> Iterator[str]:
        """The tasks under a name, unknown ones included."""
        entry = self._manager.task_index.get(name)
        if entry is not None and entry.kind.name == "TAG":
            yield from entry.tags
        elif entry is not None and entry.kind.name == "GROUP":
            listed = (entry.cfg or {}).get("task")
            for child in listed if isinstance(listed, list) else ():
                child_name = child if isinstance(child, str) else child.get("task", child.get("group"))
                if isinstance(child_name, str):
                    yield from self._leaves(child_name)
        else:
            yield name

    def _dataset(self, leaf: str) -> str | None:
        """The data set that a task asks for; None if it brings its documents itself, or they are local."""
        entry = self._manager.task_index.get(leaf)
        config = (entry.cfg or {}) if entry is not None else {}
        path = None if config.get("custom_dataset") else config.get("dataset_path")
        return None if path is None else str(path)

    def _remember(self, name: str, error: Exception) -> str:
        """The reason why data are absent, kept so that the hub is not tried for each task anew."""
        folder = "no local folder was named" if self._data is None else f"{self._data} has none"
        reason = (
            f"no documents: {folder} (tasks.data, STABILITY_DATA), and the hub did not give them "
            f"({with_type(error)})"
        )
        paths = {self._dataset(leaf) for leaf in self._leaves(name)}
        paths.discard(None)
        if len(paths) == 1:
            self._unreachable[paths.pop()] = reason
        return reason


def _data_folder(spec: TasksSpec) -> Path | None:
    named = spec.data or os.environ.get("STABILITY_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        source = "tasks.data" if spec.data else "STABILITY_DATA"
        raise DataError(f"{source}: there is no folder {folder}")
    return folder.resolve()


def _set_fewshot(task: Task, wanted: int | None) -> None:
    """As `simple_evaluate` does: a task that says 0 stays at 0, one that says nothing gets 0."""
    default = task.get_config("num_fewshot")
    if wanted is not None and default != 0:
        task.set_config("num_fewshot", wanted)
    elif default is None:
        task.set_config("num_fewshot", 0)
    task.set_fewshot_seed(FEWSHOT_SEED)
