"""Every check, by name, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Mapping

from stability.testing.check import Check
from stability.testing.checks.breadth import runs_on_gpt2, runs_on_llama, survives_unusual_subjects
from stability.testing.checks.calling import (
    batch_keeps_its_order,
    batch_takes_effect,
    reports_each_edit,
    settings_are_checked,
    takes_a_tuple_of_edits,
    works_under_no_grad,
)
from stability.testing.checks.effect import (
    edits_take_effect,
    edits_without_error,
    no_nan,
    only_weights_change_that_may,
    prepare_changes_no_weight,
)
from stability.testing.checks.repetition import (
    a_second_run_starts_clean,
    same_seed_same_result,
    state_round_trips,
)
from stability.testing.checks.traces import (
    does_not_alter_its_input,
    global_state_left_alone,
    grad_state_left_alone,
    hooks_removed,
    model_left_in_eval_mode,
    modules_left_alone,
)

CHECKS: Mapping[str, Check] = {
    check.name: check
    for check in (
        edits_without_error,
        edits_take_effect,
        no_nan,
        only_weights_change_that_may,
        prepare_changes_no_weight,
        model_left_in_eval_mode,
        hooks_removed,
        modules_left_alone,
        grad_state_left_alone,
        global_state_left_alone,
        does_not_alter_its_input,
        same_seed_same_result,
        a_second_run_starts_clean,
        state_round_trips,
        batch_takes_effect,
        batch_keeps_its_order,
        takes_a_tuple_of_edits,
        works_under_no_grad,
        reports_each_edit,
        settings_are_checked,
        survives_unusual_subjects,
        runs_on_gpt2,
        runs_on_llama,
    )
}
