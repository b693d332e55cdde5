"""Putting a model's answers into lm-eval's requests: tokenised and planned once, run at every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lm_eval.api.instance import Instance
from torch import nn

from stability.metrics.scoring import Plan, Request, best_plan
from stability.metrics.tasks.steps.exam import Exam
from stability.metrics.tasks.steps.language_model import TaskModel
from stability.metrics.tasks.steps.questions import ROLLING, fill
from stability.metrics.tasks.steps.quiet import quiet
from stability.models.modes import evaluating, random_state
from stability.models.tokens import Tokenizer

TORCH_SEED = 1234  # lm-eval's default; only tasks that sample depend on it


@dataclass(frozen=True)
class AnswerSheet:
    """The requests of all exams. `truncated` counts, by exam, the documents longer than the model takes."""

    plan: Plan
    scored: Sequence[tuple[Instance, int]] = field(repr=False)  # and how many of the plan's each is
    generated: Sequence[Instance] = field(repr=False)
    truncated: Mapping[str, int]
    lm: TaskModel = field(repr=False)

    def fill(self, model: nn.Module, head: nn.Module) -> None:
        """Answer every request, in the form in which lm-eval's own models do.

        Raises:
            MeasurementError: the model's logits are not finite.
        """
        fill(self.plan, self.scored, model, head)
        if not self.generated:
            return
        self.lm.view.model = model
        repeated = [one for one in self.generated for _ in range(one.repeats or 1)]
        with evaluating(model), random_state(TORCH_SEED), quiet():
            texts = iter(self.lm.generate(repeated))
        for instance in self.generated:
            instance.resps = [next(texts) for _ in range(instance.repeats or 1)]


def plan_answers(
    exams: Mapping[str, Exam], model: nn.Module, head: nn.Module, tokenizer: Tokenizer, batch_size: int
) -> AnswerSheet:
    """Tokenise every request as lm-eval does, and plan them all together. The model is run, but not altered.

    Raises:
        DataError: a choice is empty, or longer than the model takes.
        MeasurementError: the model's logits are not finite.
    """
    with quiet():
        lm = TaskModel(model, tokenizer, batch_size)
        requests: list[Request] = []
        scored: list[tuple[Instance, int]] = []
        generated: list[Instance] = []
        documents: list[tuple[str, int]] = []  # whose request it is
        cut: set[tuple[str, int]] = set()
        for name, exam in exams.items():
            instances = list(exam.instances)
            single = [one for one in instances if one.request_type == "loglikelihood"]
            rolling = [one for one in instances if one.request_type == ROLLING]
            written = [one for one in instances if one.request_type == "generate_until"]
            parts = [[one] for one in lm.tokenise(single)] + lm.tokenise_rolling(rolling)
            for instance, part in zip(single + rolling, parts, strict=True):
                requests += part
                documents += [(name, instance.doc_id)] * len(part)
                scored.append((instance, len(part)))
            generated += written
            cut |= {(name, one.doc_id) for one in written if lm.is_too_long(one)}
    plan = best_plan(requests, model, head, lm.max_length, batch_size)
    cut |= {documents[i] for i in plan.truncated}
    return AnswerSheet(
        plan=plan,
        scored=tuple(scored),
        generated=tuple(generated),
        truncated={name: sum(one == name for one, _ in cut) for name in exams},
        lm=lm,
    )
