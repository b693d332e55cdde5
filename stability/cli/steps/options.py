"""The options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stability import options

if TYPE_CHECKING:
    from stability.suite.overrides import Overrides

SuitePath = Annotated[
    Path, typer.Argument(metavar="SUITE", help="A suite file, such as suites/smoke.stability.yaml.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A record, or the folder that holds one.")]
JudgedBy = Annotated[
    Path | None, typer.Option("--suite", help="Judge by this suite, not by the one that was run.")
]
Baselines = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Earlier records to compare with; default: baselines/ beside the suite."
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder for run.json and the reports.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help=options.OVERWRITE)]

Resume = Annotated[bool, typer.Option("--resume", help=options.RESUME)]


class Isolated(StrEnum):
    """Where runs are made."""

    process = "process"
    none = "none"


Isolation = Annotated[Isolated, typer.Option(help=options.ISOLATION)]
Figures = Annotated[
    bool, typer.Option("--figures", help="Write the figures as SVG and PNG, too: see 'stability plot'.")
]
Strict = Annotated[bool, typer.Option("--strict", help=options.STRICT)]
Json = Annotated[
    bool, typer.Option("--json", help="Write the verdicts as JSON to stdout, in place of the table.")
]
Summary = Annotated[
    Path | None, typer.Option("--summary", metavar="FILE", help="Append the report to a file, as Markdown.")
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with a model's repository.")
]


@dataclass(frozen=True)
class RunOptions:
    """What is put in place of what the suite says."""

    model: Annotated[str | None, typer.Option(help=options.MODEL)] = None
    editor: Annotated[list[str] | None, typer.Option(help=options.EDITOR)] = None
    edits: Annotated[int | None, typer.Option(min=1, help=options.EDITS)] = None
    seed: Annotated[list[int] | None, typer.Option(min=0, help=options.SEED)] = None
    checkpoint: Annotated[
        list[int] | None, typer.Option(min=1, help="Measure after so many edits; repeatable.")
    ] = None
    set: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help=options.SETTING)] = None

    def overrides(self) -> Overrides:
        """The same, as a suite takes it."""
        from stability.suite.overrides import Overrides

        return Overrides(
            model=self.model,
            editors=tuple(self.editor or ()),
            edits=self.edits,
            seeds=tuple(self.seed or ()),
            checkpoints=tuple(self.checkpoint or ()),
            settings=tuple(self.set or ()),
        )


@dataclass(frozen=True)
class HorizonOptions(RunOptions):
    """The same for what looks for the horizon of a suite."""

    editor: Annotated[
        list[str] | None, typer.Option(help="In place of the suite's, as for 'run'; repeatable.")
    ] = None
    edits: Annotated[int | None, typer.Option(min=1, help="The most edits that are tried.")] = None
    checkpoint: Annotated[
        list[int] | None, typer.Option(min=1, help="Where to look first, in order; repeatable.")
    ] = None
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for 'run'; repeatable.")
    ] = None


@dataclass(frozen=True)
class CheckedEditor:
    """How an editor is checked for what the harness expects of one."""

    model: Annotated[str, typer.Option(help="'world', 'smollm2', a hub name or a folder.")] = "world"
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="my_editor.lr=1e-3, model.dtype=…; repeatable."),
    ] = None
    check: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Make this check only; repeatable.")
    ] = None
    skip: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave this check out; repeatable.")
    ] = None
    edits: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Seven edits or more, in place of those built in."),
    ] = None
    may_change: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Parameters that the editor may change; repeatable."),
    ] = None
    adds_modules: Annotated[
        bool, typer.Option("--adds-modules", help="The editor leaves modules of its own in the model.")
    ] = False
    share: Annotated[
        float, typer.Option(min=0, max=1, help="How many edits must win over the true target.")
    ] = 0.6
    seed: Annotated[int, typer.Option(min=0, help="Of the edits and the editor.")] = 0
