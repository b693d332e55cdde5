"""Who is judged: a score that is not surely above a guess cannot show a drop."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from scipy.stats import binom

from stability.judge.noise.chance import at_chance, chance
from stability.record import Reading, TaskResult
from tests.judge.noise.test_tasks import group


class TestChance:
    """A score that is not surely above a guess cannot show a drop."""

    def test_of_an_accuracy_it_is_as_stated_or_else_one_in_k_or_the_majoritys_rate(
        self, records: ModuleType
    ) -> None:
        few, many = [0, 1, 1, 1], [0] * 25 + [1] * 75
        assert chance("t", records.tasks({"t": records.answers(few, few, chance=0.25)})) == 0.25
        assert chance("t", records.tasks({"t": records.answers(few, few)})) == 0.5
        assert chance("t", records.tasks({"t": records.answers(many, many)})) == 0.75

    def test_of_matthews_correlation_it_is_zero_and_of_f1_that_of_calling_everything_positive(
        self, records: ModuleType
    ) -> None:
        gold = [0, 0, 1, 1, 1]
        assert chance("t", records.tasks({"t": records.answers(gold, gold, metric="mcc")})) == 0.0
        assert chance("t", records.tasks({"t": records.answers(gold, gold, metric="f1")})) == pytest.approx(
            2 * 3 / (5 + 3)
        )

    def test_of_f1_without_the_answers_it_is_as_stated(self) -> None:
        for stated in (0.4, None):
            result = TaskResult(metric="f1", n=100, chance=stated)
            assert chance("t", Reading(over="task", values={"t": 0.8}, tasks={"t": result})) == stated

    @pytest.mark.parametrize("limit", [5, 20, 100])
    @pytest.mark.parametrize("shares", [[0.25, 0.25, 0.25, 0.25], [0.4, 0.2, 0.2, 0.2]])
    def test_of_a_group_it_is_the_best_single_answer_however_few_documents_each_member_has(
        self, records: ModuleType, limit: int, shares: list[float]
    ) -> None:
        rng = np.random.default_rng(limit)
        golds = {f"subject_{i}": rng.choice(4, limit, p=shares) for i in range(57)}
        members = {name: records.answers(gold, gold) for name, gold in golds.items()}
        stated = float(np.mean([np.bincount(gold).max() / limit for gold in golds.values()]))
        whole = TaskResult(metric="acc", n=57 * limit, members=tuple(members), chance=stated)
        reading = records.tasks({"mmlu": whole, **members}, {"mmlu": 1.0})
        pool = np.bincount(np.concatenate(list(golds.values()))).max() / (57 * limit)
        assert chance("mmlu", reading) == pytest.approx(0.25 if shares[0] == 0.25 else pool)
        assert pool < stated

    def test_of_a_group_of_other_scores_it_is_the_mean_of_its_members_by_documents(
        self, records: ModuleType
    ) -> None:
        reading, _ = group(records, {"a": 100, "b": 300}, 0, weighted=True)
        members = {
            "a": reading.tasks["a"].model_copy(update={"chance": 0.5}),
            "b": reading.tasks["b"].model_copy(update={"chance": 0.25}),
            "mmlu": reading.tasks["mmlu"].model_copy(update={"metric": "mean"}),
        }
        mixed = reading.model_copy(update={"tasks": {**reading.tasks, **members}})
        assert chance("mmlu", mixed) == pytest.approx((0.5 * 100 + 0.25 * 300) / 400)

    @pytest.mark.parametrize(("right", "n", "is_chance"), [(36, 71, True), (60, 71, False), (10, 30, True)])
    def test_a_base_score_whose_interval_reaches_down_to_chance_is_at_chance(
        self, records: ModuleType, right: int, n: int, is_chance: bool
    ) -> None:
        result = records.graded(right, n)[0].model_copy(update={"chance": 0.5})
        reason = at_chance("wnli", records.tasks({"wnli": result}), 0.95)
        assert (reason is not None) == is_chance
        if reason:
            assert reason.message.startswith(f"base at chance ({right / n:.2f} of {n} documents")

    def test_of_a_group_that_lacks_a_member_s_documents_nothing_is_said(self, records: ModuleType) -> None:
        before, _ = group(records, {"a": 100, "b": 300}, 30, weighted=True)
        without = before.model_copy(update={"tasks": {"mmlu": before.tasks["mmlu"]}})
        assert at_chance("mmlu", without, 0.95) is None

    @pytest.mark.parametrize("metric", ["f1", "mcc"])
    def test_a_model_that_always_says_yes_is_at_chance(self, records: ModuleType, metric: str) -> None:
        gold = [1] * 60 + [0] * 40
        score = 2 * 60 / 160 if metric == "f1" else 0.0
        reading = records.tasks({"t": records.answers(gold, [1] * 100, metric=metric)}, {"t": score})
        assert at_chance("t", reading, 0.95) is not None

    @pytest.mark.parametrize("metric", ["f1", "mcc"])
    def test_a_model_that_knows_the_task_is_not(self, records: ModuleType, metric: str) -> None:
        gold = np.array([1] * 60 + [0] * 40)
        answers = gold.copy()
        answers[::20] = 1 - answers[::20]
        tp, fp, fn, tn = 57, 2, 3, 38
        scores = {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
        }
        reading = records.tasks({"t": records.answers(gold, answers, metric=metric)}, {"t": scores[metric]})
        assert at_chance("t", reading, 0.95) is None

    def test_what_a_guess_scores_over_all_documents_comes_before_what_it_scores_on_those_taken(
        self, records: ModuleType
    ) -> None:
        taken = records.answers([0, 1, 1, 1], [0, 1, 1, 1], guess=0.5)
        assert chance("t", records.tasks({"t": taken})) == 0.5
        whole = TaskResult(metric="acc", n=4, members=("t",), guess=0.26)
        assert chance("g", records.tasks({"t": taken, "g": whole}, {"g": 1.0})) == 0.26

    @pytest.mark.parametrize("guess", [0.25, 0.5])
    @pytest.mark.parametrize("n", [20, 71, 200, 1000])
    def test_one_guess_in_twenty_is_judged_and_one_model_in_twenty_of_the_score_that_is_stated_skipped(
        self, records: ModuleType, n: int, guess: float
    ) -> None:
        def reason(right: int) -> str | None:
            result = records.graded(right, n)[0].model_copy(update={"chance": guess})
            found = at_chance("t", records.tasks({"t": result}), 0.95)
            return found.message if found else None

        fewest = next(right for right in range(n + 1) if reason(right) is None)
        assert binom.sf(fewest - 1, n, guess) <= 0.05 < binom.sf(fewest - 2, n, guess)
        words = reason(fewest - 1)
        assert words is not None
        stated = float(words.split("models that score ")[1].rstrip(")"))
        assert binom.cdf(fewest - 1, n, stated - 0.005) >= 0.05 >= binom.cdf(fewest - 1, n, stated + 0.005)

    def test_a_base_of_thirty_per_cent_on_a_thousand_documents_of_four_choices_is_judged(
        self, records: ModuleType
    ) -> None:
        skipped = [
            right
            for right in range(240, 340)
            if at_chance("t", records.tasks({"t": records.graded(right, 1000)[0]}), 0.95)
        ]
        assert binom.cdf(max(skipped), 1000, 0.30) <= 0.05

    @pytest.mark.parametrize("shares", [[0.25, 0.25, 0.25, 0.25], [0.4, 0.2, 0.2, 0.2]])
    def test_whatever_its_preferences_a_guesser_is_judged_one_time_in_twenty_and_one_answer_never(
        self, records: ModuleType, shares: list[float]
    ) -> None:
        rng = np.random.default_rng(1)
        judged = {"always the same": 0, "with preferences": 0, "blind": 0}
        for _ in range(400):
            gold = rng.choice(4, 100, p=shares)
            for name, preferred in (("always the same", 1.0), ("with preferences", 0.7), ("blind", 0.0)):
                given = np.where(rng.random(100) < preferred, 0, rng.integers(0, 4, 100))
                reading = records.tasks({"t": records.answers(gold, given)})
                judged[name] += at_chance("t", reading, 0.95) is None
        assert judged["always the same"] == 0
        assert max(judged.values()) / 400 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)

    def test_a_base_of_thirty_per_cent_is_judged_nine_times_in_ten_however_the_right_answers_fall(
        self, records: ModuleType
    ) -> None:
        rng = np.random.default_rng(2)
        judged = 0
        for _ in range(300):
            gold = rng.integers(0, 4, 1000)
            given = np.where(rng.random(1000) < 0.05 / 0.75, gold, rng.integers(0, 4, 1000))
            judged += at_chance("t", records.tasks({"t": records.answers(gold, given)}), 0.95) is None
        assert judged / 300 >= 0.90

    def test_so_few_documents_that_no_score_is_told_from_a_guess_are_said_to_be_too_few(
        self, records: ModuleType
    ) -> None:
        reason = at_chance("t", records.tasks({"t": records.graded(1, 1)[0]}), 0.95)
        assert reason is not None
        assert "too few documents to tell any score from that" in reason.message
