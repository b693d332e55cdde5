"""`relative_to: previous`: an earlier version of an editor, and when its record cannot be compared with."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from stability.judge import Baseline, Verdict, differences, judge
from stability.judge.baseline import previous_checkpoint
from stability.judge.problems import CannotJudge
from stability.record import Record
from stability.suite import parse_suite

REGRESSION = """
growth: {metric: weight_norm, where: {matrices: edited}, relative_to: previous, assert: "<= 1.05"}
"""
DROP = """
task_drop:
  metric: task_score
  for_each: {task: [choice]}
  relative_to: previous
  change: absolute
  assert: ">= -0.05"
  noise: {confidence: 0.95}
"""
SUITE = """
schema: 1
name: norm-growth
model: world
run: {edits: {source: world, count: 40, batch: 1}}
text: {source: world, tokens: 1000}
checks:
  quiet: {metric: kl_divergence, assert: "<= 1"}
"""


def growing(records: ModuleType, *factors: float, **more: Any) -> Record:
    """An editor that grows the norm of one matrix by such factors, 20 edits apart."""
    base = records.checkpoint(0, weight_norm=records.norms())
    points = [
        records.checkpoint(
            20 * (i + 1), [records.name(1)], weight_norm=records.norms({records.name(1): factor})
        )
        for i, factor in enumerate(factors)
    ]
    return records.record(base, [records.run(points)], **more)


def against(records: ModuleType, now: Record, before: Record | None, checks: str = REGRESSION) -> Verdict:
    baseline = {"rome": Baseline(before, save="SAVE IT", update="UPDATE IT")}
    [verdict] = judge(records.suite(checks), now, baseline).verdicts
    return verdict


@pytest.mark.parametrize(
    ("worse", "status"), [(1.20, "fail"), (1.06, "fail"), (1.04, "pass"), (1.01, "pass"), (0.8, "pass")]
)
def test_a_version_whose_norm_grows_more_than_the_bound_allows_is_caught(
    records: ModuleType, worse: float, status: str
) -> None:
    before = growing(records, 1.2, 1.5)
    verdict = against(records, growing(records, 1.2 * worse, 1.5 * worse), before)
    assert verdict.status == status
    assert verdict.value == pytest.approx(worse, rel=1e-12)


def test_the_bracket_says_from_which_edit_on_it_is_worse(records: ModuleType) -> None:
    verdict = against(records, growing(records, 1.2, 1.9), growing(records, 1.2, 1.5))
    assert (verdict.status, verdict.held_to, verdict.failed_at) == ("fail", 20, 40)
    assert verdict.relative_to == "previous"


def test_without_a_baseline_the_check_is_an_error_with_the_command_that_makes_one(
    records: ModuleType,
) -> None:
    verdict = against(records, growing(records, 1.2), None)
    assert verdict.status == "error"
    assert verdict.message.endswith("; make it: SAVE IT")
    [unasked] = judge(records.suite(REGRESSION), growing(records, 1.2)).verdicts
    assert unasked.status == "error"
    assert "needs an earlier record" in unasked.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text_fingerprint": "e" * 64}, "another text (eeeeeeeeeeee, now dddddddddddd)"),
        ({"harness_version": "1.0.0"}, "another major version of the harness (1.0.0, now 0.1.0)"),
        ({"measured_fingerprint": "e" * 64}, "another suite, or another state of it"),
    ],
)
def test_a_baseline_of_other_things_is_stale_and_says_which(
    records: ModuleType, change: dict[str, Any], words: str
) -> None:
    now = growing(records, 1.2)
    assert differences(now, now) == []
    assert differences(now, growing(records, 1.2, **change)) == [words]
    verdict = against(records, now, growing(records, 1.2, **change))
    assert (verdict.status, verdict.value) == ("error", None)
    assert verdict.message == f"the baseline is stale: {words}; update it: UPDATE IT"


@pytest.mark.parametrize("field", ["fingerprint", "tokenizer_fingerprint"])
def test_a_baseline_of_another_model_is_stale(records: ModuleType, field: str) -> None:
    now = growing(records, 1.2)
    other = now.model_copy(update={"model": now.model.model_copy(update={field: "e" * 64})})
    [words] = differences(now, other)
    assert words.startswith("another model" if field == "fingerprint" else "another tokenizer")
    assert against(records, now, other).status == "error"


def measured(text: str) -> dict[str, Any]:
    suite = parse_suite(text)
    return {"measured_fingerprint": suite.measured_fingerprint, "measured": suite.measured}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch: 1", "batch: 10", ["the suite's run.edits.batch was 10, now 1"]),
        ("tokens: 1000", "tokens: 1000, skip_tokens: 0", ["the suite's text.skip_tokens was 0, now 1"]),
        ("checks:", "probes: {C: 0.5}\nchecks:", ["the suite's probes.C was 0.5, now 0.01"]),
        ("checks:", "tasks: {num_fewshot: 2}\nchecks:", ["the suite's tasks.num_fewshot was 2, now None"]),
        ("tokens: 1000", "tokens: 1000, window: 64", []),
        ("count: 40", "count: 99", []),
        ("<= 1", "<= 2", []),
        ("kl_divergence", "perplexity", []),
        ("model: world", "model: ./world", []),
        ("checks:", "tasks: {data: elsewhere, batch_size: 7}\nchecks:", []),
    ],
)
def test_a_suite_that_measures_otherwise_is_named_and_what_the_data_decide_is_not(
    records: ModuleType, old: str, new: str, words: list[str]
) -> None:
    assert old in SUITE
    now = growing(records, 1.2, **measured(SUITE))
    assert differences(now, growing(records, 1.2, **measured(SUITE.replace(old, new)))) == words


def test_a_record_from_before_texts_were_cut_into_windows_is_compared_by_its_text(
    records: ModuleType,
) -> None:
    now = measured(SUITE)
    earlier = {key: value for key, value in now["measured"]["text"].items() if key != "window"}
    old = {"measured_fingerprint": "e" * 64, "measured": {**now["measured"], "text": earlier}}
    assert differences(growing(records, 1.2, **now), growing(records, 1.2, **old)) == []
    [words] = differences(
        growing(records, 1.2, **now), growing(records, 1.2, **old, text_fingerprint="e" * 64)
    )
    assert words.startswith("another text")


def test_other_documents_of_a_task_are_told_by_their_right_answers(records: ModuleType) -> None:
    def with_gold(shift: int) -> Record:
        answers = records.answers((np.arange(8) + shift) % 4, np.arange(8) % 4)
        return records.record(records.checkpoint(0, task_score=records.tasks({"choice": answers})), [])

    assert differences(with_gold(0), with_gold(0)) == []
    assert differences(with_gold(0), with_gold(1)) == ["other documents of task choice (8, now 8)"]


class TestCheckpoints:
    """The same editor's run at the same seed, with the same edits, after as many of them."""

    def test_the_same_checkpoint_of_the_same_run_is_found(self, records: ModuleType) -> None:
        base, run = records.whole_run(at=(20, 40))
        record = records.record(base, [run])
        assert previous_checkpoint(record, run, 40, Baseline(record)) is run.checkpoints[1]
        assert previous_checkpoint(record, run, 0, Baseline(record)) is base

    def test_other_seeds_edits_or_checkpoints_are_refused(self, records: ModuleType) -> None:
        base, run = records.whole_run(at=(20,))
        record = records.record(base, [run])
        other = run.edits[0].model_copy(update={"target": "Paris"})
        unspaced = run.edits[0].model_copy(update={"space": False})
        for change, complaint in (
            ({"seed": 3}, "no run of memit at seed 0; update it: UPDATE"),
            ({"checkpoints": ()}, "no checkpoint at 20 edits; update it: UPDATE"),
            ({"edits": run.edits[::-1]}, "stale: its run of memit at seed 0 made other edits"),
            ({"edits": (other, *run.edits[1:])}, "stale: its run of memit at seed 0 made other edits"),
            ({"edits": (unspaced, *run.edits[1:])}, "stale: its run of memit at seed 0 made other edits"),
        ):
            earlier = Baseline(records.record(base, [run.model_copy(update=change)]), update="UPDATE")
            with pytest.raises(CannotJudge, match=complaint):
                previous_checkpoint(record, run, 20, earlier)

    def test_edits_of_a_record_that_says_nothing_of_spaces_had_one(self, records: ModuleType) -> None:
        base, run = records.whole_run(at=(20,))
        spaced = [edit.model_copy(update={"space": True}) for edit in run.edits]
        now = run.model_copy(update={"edits": tuple(spaced)})
        earlier = Baseline(records.record(base, [run]))
        found = previous_checkpoint(records.record(base, [now]), now, 20, earlier)
        assert found is run.checkpoints[0]

    def test_a_longer_baseline_serves_a_shorter_run(self, records: ModuleType) -> None:
        longer, shorter = growing(records, 1.2, 1.5, 1.8), growing(records, 1.25)
        verdict = against(records, shorter, longer)
        assert verdict.value == pytest.approx(1.25 / 1.2)

    def test_a_metric_that_the_baseline_lacks_is_an_error_of_the_baseline(self, records: ModuleType) -> None:
        checks = 'kl: {metric: kl_divergence, relative_to: previous, assert: "<= 1.1"}'
        now = growing(records, 1.2)
        points = [
            point.model_copy(update={"readings": {"kl_divergence": records.scalar(0.1)}})
            for point in now.runs[0].checkpoints
        ]
        with_kl = now.model_copy(
            update={"runs": (now.runs[0].model_copy(update={"checkpoints": tuple(points)}),)}
        )
        verdict = against(records, with_kl, now, checks)
        assert verdict.status == "error"
        assert verdict.message.startswith("the baseline cannot be compared with: not measured")


class TestTasks:
    """A drop against an earlier version is told from noise by the same documents."""

    def pair(self, records: ModuleType, losses: int) -> tuple[Record, Record]:
        """The version before, and one that gets so many more of 500 documents wrong."""
        before, now = records.graded(480, 500, losses=losses)
        made = []
        for result in (before, now):
            base = records.checkpoint(0, task_score=records.tasks({"choice": before}))
            point = records.checkpoint(20, [records.name(1)], task_score=records.tasks({"choice": result}))
            made.append(records.record(base, [records.run([point])]))
        return made[0], made[1]

    @pytest.mark.parametrize(
        ("losses", "status"), [(0, "pass"), (20, "pass"), (30, "inconclusive"), (60, "fail")]
    )
    def test_only_a_drop_beyond_noise_fails(self, records: ModuleType, losses: int, status: str) -> None:
        before, now = self.pair(records, losses)
        verdict = against(records, now, before, DROP)
        assert (verdict.status, verdict.value) == (status, pytest.approx(-losses / 500))

    def test_the_reference_is_the_version_before_and_not_the_unedited_model(
        self, records: ModuleType
    ) -> None:
        _, worse = self.pair(records, 60)
        verdict = against(records, worse, worse, DROP)
        assert (verdict.status, verdict.value) == ("pass", 0.0)


def test_a_note_says_what_was_compared_with_and_warns_of_the_same_version(records: ModuleType) -> None:
    now = growing(records, 1.2, started="2026-03-01T10:00:00+00:00")

    def as_version(record: Record, fingerprint: str, **settings: Any) -> Record:
        run = record.runs[0]
        info = run.editor.model_copy(update={"fingerprint": fingerprint, "settings": settings})
        return record.model_copy(update={"runs": (run.model_copy(update={"editor": info}),)})

    def notes(before: Record) -> tuple[str, ...]:
        suite = records.suite(REGRESSION, run="{edits: {count: 20}}")
        return judge(suite, as_version(now, "f" * 64, lr=1), {"rome": Baseline(before)}).editors[0].notes

    [same] = notes(as_version(now, "f" * 64, lr=1))
    assert "of this same version" in same
    [other] = notes(as_version(now, "a" * 64, lr=2))
    assert other == "compared with the baseline of 2026-03-01, version aaaaaaaaaaaa; other settings: lr"
