"""Every remedy by name, each a function of the situation; which ones a metric has stands in `texts`.

One that does not fit the editor or the run is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stability.report.explanations import conduct, tuning, wrapping
from stability.report.explanations.attempt import Attempt
from stability.report.explanations.situation import Situation

REMEDIES: Mapping[str, Callable[[Situation], Attempt | None]] = {
    make.__name__: make
    for make in (
        conduct.allow,
        conduct.control,
        conduct.examine,
        conduct.fewer,
        conduct.guard,
        conduct.look_at_table,
        conduct.remake,
        conduct.same_files,
        conduct.saved_alike,
        conduct.versions,
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
        wrapping.frobenius,
        wrapping.prune,
        wrapping.rect,
        wrapping.relax,
        wrapping.reset,
        wrapping.revive,
        wrapping.sphere,
        wrapping.tighter,
    )
}
