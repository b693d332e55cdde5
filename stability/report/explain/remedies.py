"""Every remedy by name, each a function of the evidence; `texts` says which ones a metric has.

A remedy that does not fit the editor or the run returns None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stability.report.explain.evidence import Evidence
from stability.report.explain.steps import procedure, tuning, wrappers
from stability.report.explain.suggestion import Suggestion

REMEDIES: Mapping[str, Callable[[Evidence], Suggestion | None]] = {
    make.__name__: make
    for make in (
        procedure.allow,
        procedure.control,
        procedure.examine,
        procedure.fewer,
        procedure.guard,
        procedure.look_at_table,
        procedure.own_modules,
        procedure.remake,
        procedure.same_files,
        procedure.saved_alike,
        procedure.versions,
        tuning.alphaedit,
        tuning.clamp,
        tuning.closed_form,
        tuning.encore,
        tuning.fewer_steps,
        tuning.float32,
        tuning.ft_l,
        tuning.half,
        tuning.in_batches,
        tuning.keep_to_layers,
        tuning.learning_rate,
        tuning.less_text,
        tuning.mended_key,
        tuning.more_steps,
        tuning.nas,
        tuning.one_at_a_time,
        wrappers.frobenius,
        wrappers.prune,
        wrappers.rect,
        wrappers.relax,
        wrappers.reset,
        wrappers.revive,
        wrappers.sphere,
        wrappers.tighter,
    )
}
