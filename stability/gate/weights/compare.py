"""Two layouts against each other: which tensors differ, and by how much, a window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stability.gate.files.folder import Stored
from stability.gate.files.layout import HEAD, Layout, is_worked_out
from stability.gate.weights.change import Change, change_of
from stability.gate.weights.numbers import count_nonfinite, norm_of, norm_of_parts, widen
from stability.gate.weights.windows import Pair, Window, blocks, over, same, windows


@dataclass(frozen=True)
class WeightDifferences:
    """Everything in which two checkpoints' weights differ, by parameter name.

    `norms` are of matrices that do not differ, of the kinds of those that do; `nonfinite` counts NaN and
    infinities in tensors that have no counterpart.
    """

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    retyped: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    norms: Mapping[str, float] = field(default_factory=dict)
    nonfinite: int = 0

    @property
    def changed(self) -> tuple[str, ...]:
        """Every tensor that is not what it was, sorted."""
        return tuple(sorted({*self.missing, *self.extra, *self.reshaped, *self.changes}))


def compare(base: Layout, edited: Layout) -> WeightDifferences:
    """Compare every tensor by its bytes, and take the figures of those that differ.

    A head that one side leaves out because it is the embedding is no difference, nor is a mask that older
    files hold. Tensors of other dtypes are compared by value.

    Raises:
        ModelError: a file ends too soon.
    """
    missing, extra = _without_counterpart(base, edited)
    both = [name for name in base.tensors if name in edited.tensors]
    reshaped = {
        name: (base.tensors[name].shape, edited.tensors[name].shape)
        for name in both
        if base.tensors[name].shape != edited.tensors[name].shape
    }
    retyped = {
        name: (base.tensors[name].dtype, edited.tensors[name].dtype)
        for name in both
        if base.tensors[name].dtype != edited.tensors[name].dtype
    }
    comparable = [name for name in both if name not in reshaped]
    differing = differing_tensors(base.tensors, edited.tensors, comparable)
    changes = {name: change_of(base.tensors[name], edited.tensors[name]) for name in differing}
    changes = {name: change for name, change in changes.items() if change.elements}  # retyped, but equal
    edited_kinds = {matrix.kind for matrix in base.matrices if matrix.name in changes}
    peers = [
        matrix.name
        for matrix in base.matrices
        if matrix.kind in edited_kinds and matrix.name in comparable and matrix.name not in changes
    ]
    alone = [edited.tensors[name] for name in (*extra, *reshaped)]
    return WeightDifferences(
        missing=missing,
        extra=extra,
        reshaped=reshaped,
        retyped=retyped,
        changes=changes,
        norms=norms([base.tensors[name] for name in peers], names=peers),
        nonfinite=sum(over([(one, window) for one in alone for window in blocks(one)], _nonfinite)),
    )


def differing_tensors(
    base: Mapping[str, Stored], edited: Mapping[str, Stored], names: Iterable[str]
) -> list[str]:
    """Those of the named tensors whose dtype or bytes differ, in the order given."""
    found: set[str] = set()

    def look(window: tuple[str, Window], pair: Pair) -> None:
        name, part = window
        if name not in found and not _same(base[name], edited[name], part, pair):
            found.add(name)

    jobs = []
    names = list(names)
    for name in names:
        if base[name].dtype != edited[name].dtype:
            found.add(name)
        else:
            jobs += [(name, part) for part in windows(base[name])]
    over(jobs, look)
    return [name for name in names if name in found]


def norms(tensors: Iterable[Stored], names: Iterable[str]) -> dict[str, float]:
    """‖W‖_F of each tensor, by the name given to it."""
    jobs = [(name, one, window) for name, one in zip(names, tensors, strict=True) for window in blocks(one)]

    def norm(job: tuple[str, Stored, Window], pair: Pair) -> float:
        _, tensor, window = job
        room = pair.base.room(window.stop - window.start)
        return norm_of(widen(pair.base.read(tensor, window), tensor.dtype, room))

    parts: dict[str, list[float]] = {}
    for (name, _, _), part in zip(jobs, over(jobs, norm), strict=True):
        parts.setdefault(name, []).append(part)
    return {name: norm_of_parts(found) for name, found in parts.items()}


def _without_counterpart(base: Layout, edited: Layout) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tensors that only one side has, and that the other would need."""

    def only_in(one: Layout, other: Layout) -> tuple[str, ...]:
        return tuple(
            name
            for name, tensor in one.tensors.items()
            if name not in other.tensors
            and not is_worked_out(name, tensor)
            and not (name == HEAD and one.is_tied and other.is_tied and _is_an_embedding(tensor, one))
        )

    return only_in(base, edited), only_in(edited, base)


def _is_an_embedding(head: Stored, layout: Layout) -> bool:
    """Whether the head holds the same bytes as another tensor of its file's model."""
    twins = [
        tensor
        for name, tensor in layout.tensors.items()
        if name != HEAD and (tensor.shape, tensor.dtype) == (head.shape, head.dtype)
    ]
    return any(not differing_tensors({"": head}, {"": twin}, [""]) for twin in twins)


def _same(base: Stored, edited: Stored, window: Window, pair: Pair) -> bool:
    return same(pair.base.read(base, window), pair.edited.read(edited, window))


def _nonfinite(job: tuple[Stored, Window], pair: Pair) -> int:
    tensor, window = job
    return count_nonfinite(widen(pair.edited.read(tensor, window), tensor.dtype))
