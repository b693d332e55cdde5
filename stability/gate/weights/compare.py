"""Two layouts against each other: which tensors differ, and by how much, a window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stability.gate.files.folder import Stored
from stability.gate.files.layout import EMBEDDINGS, HEAD, Layout, is_worked_out
from stability.gate.files.quantised import refuse_codes
from stability.gate.weights.change import Change, are_comparable, change_of
from stability.gate.weights.numbers import count_nonfinite, norm_of, norm_of_parts, numbers_of
from stability.gate.weights.windows import Pair, Window, blocks, over, same, windows


@dataclass(frozen=True)
class WeightDifferences:
    """Everything in which two checkpoints' weights differ, by parameter name.

    `unused` are tensors that one side lacks and that no model of its configuration reads. `norms` are of
    matrices that do not differ, of the kinds of those that do; `nonfinite` counts NaN and infinities in
    tensors that have no counterpart.
    """

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
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
    files hold. Tensors of other dtypes differ where neither is the other, rounded to its dtype.

    Raises:
        ModelError: a file ends too soon; what differs is stored as codes, which are no weights.
    """
    missing, lost = _used(base, _without_counterpart(base, edited))
    extra, added = _used(edited, _without_counterpart(edited, base))
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
    edited_groups = {matrix.group for matrix in base.matrices if matrix.name in changes}
    peers = [
        matrix.name
        for matrix in base.matrices
        if matrix.group in edited_groups and matrix.name in comparable and matrix.name not in changes
    ]
    alone = [edited.tensors[name] for name in (*extra, *reshaped)]
    refuse_codes(base, edited, [*missing, *extra, *reshaped, *retyped, *changes])
    return WeightDifferences(
        missing=missing,
        extra=extra,
        unused=(*lost, *added),
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
        if not are_comparable(base[name], edited[name]):
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
        room = pair.base.room(window.size)
        return norm_of(numbers_of(pair.base, tensor, window, room))

    parts: dict[str, list[float]] = {}
    for (name, _, _), part in zip(jobs, over(jobs, norm), strict=True):
        parts.setdefault(name, []).append(part)
    return {name: norm_of_parts(found) for name, found in parts.items()}


def _without_counterpart(one: Layout, other: Layout) -> tuple[str, ...]:
    """The tensors of one side that the other lacks, and would need."""
    return tuple(
        name
        for name, tensor in one.tensors.items()
        if name not in other.tensors
        and not is_worked_out(name, tensor)
        and not (one.is_tied and other.is_tied and _is_tied_twin(name, one, other))
    )


def _used(layout: Layout, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of tensors, parted into those that a model of the configuration reads and those that none does.

    Where transformers has no such model, or saves it under other names than its own, all count as read.
    """
    if not names or layout.entry is None or layout.entry.experts:
        return names, ()
    from stability.models.expected import expected_names

    expected = expected_names(layout.folder.path)
    if expected is None:
        return names, ()
    return tuple(name for name in names if name in expected), tuple(
        name for name in names if name not in expected
    )


def _is_tied_twin(name: str, one: Layout, other: Layout) -> bool:
    """Whether a head or an embedding is what the other side has in its place, or its own side's other one."""
    ends = (HEAD, *(key for key in (*one.tensors, *other.tensors) if EMBEDDINGS.search(key)))
    if name not in ends:
        return False
    tensor = one.tensors[name]
    twins = [layout.tensors[key] for layout in (one, other) for key in ends if key in layout.tensors]
    alike = [twin for twin in twins if twin is not tensor and twin.shape == tensor.shape]
    return any(
        are_comparable(tensor, twin) and not differing_tensors({"": tensor}, {"": twin}, [""])
        for twin in alike
    )


def _same(base: Stored, edited: Stored, window: Window, pair: Pair) -> bool:
    return same(pair.base.read(base, window), pair.edited.read(edited, window))


def _nonfinite(job: tuple[Stored, Window], pair: Pair) -> int:
    tensor, window = job
    return count_nonfinite(numbers_of(pair.edited, tensor, window))
