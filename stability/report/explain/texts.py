"""The texts for each metric: what it is, what a value past its bound means, what papers report, what to try.

There is one entry per metric. Statements about arXiv 2502.19416 rely on its abstract and figures. The paper
states no cut-off, so every bound is a signature that the suite sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GUPTA = "Gupta et al. 2025 (arXiv 2502.19416)"
NO_CUT_OFF = "The paper states no cut-off: the bound is a signature that the suite sets."


@dataclass(frozen=True)
class Side:
    """One end of the bound: what it means if the value is past it, and its `remedies`, best first.

    `unedited` replaces `means` if the value is relative to the unedited layers.
    """

    means: str
    seen: str = ""
    remedies: tuple[str, ...] = ()
    unedited: str = ""


@dataclass(frozen=True)
class Text:
    """A metric: `figure` ends the sentence "This is ..."; a side is None if it has no meaning of its own."""

    figure: str
    high: Side | None = None
    low: Side | None = None


NORM = (
    "mended_key",
    "closed_form",
    "learning_rate",
    "ft_l",
    "tighter",
    "alphaedit",
    "encore",
    "fewer",
    "frobenius",
    "reset",
    "guard",
)
DAMAGE = (
    "mended_key",
    "closed_form",
    "learning_rate",
    "ft_l",
    "alphaedit",
    "encore",
    "fewer",
    "rect",
    "sphere",
    "guard",
)
FORGOTTEN = (
    "mended_key",
    "closed_form",
    "learning_rate",
    "alphaedit",
    "encore",
    "fewer",
    "rect",
    "sphere",
    "guard",
)
ACTIVATIONS = (
    "mended_key",
    "closed_form",
    "learning_rate",
    "ft_l",
    "alphaedit",
    "fewer",
    "frobenius",
    "clamp",
    "guard",
)
DID_NOT_TAKE = ("control", "relax", "closed_form", "more_steps", "one_at_a_time", "fewer", "examine")
COSTLY = ("fewer_steps", "in_batches")

FORGETTING = (
    "Gupta et al. 2024 (arXiv 2401.07453) edited models in sequence with ROME and MEMIT: earlier edits "
    "and downstream tasks were lost gradually at first, then abruptly."
)
SHRINKING = (
    f"{GUPTA}, Figure 4: the residual stream's norm falls as edits go on, in the late layers of GPT-2 XL "
    f"to about half after 2,000. {NO_CUT_OFF}"
)
FADED = Side(
    means=(
        "Later blocks and the output now read vectors shorter than those they were trained on: edits have "
        "moved the model's inner state, not only the facts."
    ),
    seen=SHRINKING,
    remedies=ACTIVATIONS,
)
SWOLLEN = Side(
    means="What the edited matrices write has swollen the vectors beyond what later blocks were trained on.",
    seen=f"{GUPTA} saw the reverse, norms that fall (Figure 4).",
    remedies=ACTIVATIONS,
)
SHIFT = (
    f"{GUPTA}, Figure 5: classifiers that tell layers apart, fitted on the unedited model's activations, "
    f"lose accuracy on the edited one's, which lie in other regions. {NO_CUT_OFF}"
)
LOST = Side(
    means=(
        "The model no longer answers what it was taught earlier in the sequence: later edits have "
        "overwritten it."
    ),
    seen=FORGETTING,
    remedies=FORGOTTEN,
)

TEXTS: Mapping[str, Text] = {
    # -- weights --
    "weight_norm": Text(
        figure="the size of a weight matrix, all its numbers together (Frobenius norm)",
        high=Side(
            means=(
                "Edit upon edit was added until it writes more strongly into the model than it was "
                "trained to, while everything around it stayed as it was."
            ),
            unedited=(
                "It has outgrown the layers that nobody edited, whose part in the model's answers shrinks."
            ),
            seen=(
                f"{GUPTA}: norms always grew, in continual pre-training, full fine-tuning and LoRA (Figure "
                "1) as under sequential edits by every kind of method (Figure 3, to 2-3 times the "
                f"unedited layers). {NO_CUT_OFF}"
            ),
            remedies=NORM,
        ),
        low=Side(
            means=(
                "The matrix has shrunk, so what it held before editing is said more faintly, facts nobody "
                "edited included."
            ),
            remedies=("relax", "learning_rate", "fewer", "guard"),
        ),
    ),
    "delta_norm": Text(
        figure="how far a weight matrix has moved from where it began, as a share of its first size",
        high=Side(
            means=(
                "The edits have rewritten so much of the matrix that what it held before is at risk, even "
                "where its norm has not grown."
            ),
            seen=(
                "Gu et al. 2024 (arXiv 2401.04700) trace lost general abilities to weights that were "
                "altered too much."
            ),
            remedies=("mended_key", "learning_rate", "ft_l", "rect", "encore", "clamp", "fewer", "guard"),
        ),
        low=Side(
            means="The matrix has hardly moved, so the edits may not have been made at all.",
            remedies=DID_NOT_TAKE,
        ),
    ),
    "delta_spectral_norm": Text(
        figure=(
            "the strongest single direction in which a weight matrix has moved, over the strongest that "
            "it had"
        ),
        high=Side(
            means=(
                "One direction that edits added is so strong that it shows in answers that have nothing "
                "to do with it."
            ),
            seen=(
                "Ma et al. 2024 (arXiv 2405.16821) tie the loss of general abilities to how "
                "ill-conditioned the edited matrix becomes, and hold down its largest singular values."
            ),
            remedies=("prune", "mended_key", "learning_rate", "ft_l", "frobenius", "clamp", "fewer", "guard"),
        ),
    ),
    "frozen_weights": Text(
        figure=(
            "the number of values that changed in parameters which the suite's `may_change` does not allow"
        ),
        high=Side(
            means=(
                "The editor touched more than it was meant to, and damage there is looked for by no other "
                "check."
            ),
            remedies=("keep_to_layers", "allow"),
        ),
    ),
    "structure_differences": Text(
        figure="the number of modules, methods, hooks and settings that differ from the unedited model's",
        high=Side(
            means=(
                "The editor changed what is no weight: the model as it is saved is not the one that was "
                "measured."
            ),
            remedies=("examine", "own_modules"),
        ),
    ),
    "hyperspherical_energy": Text(
        figure="how closely the neurons of a weight matrix crowd in direction (hyperspherical energy)",
        high=Side(
            means=(
                "Edits have pulled neurons towards a few common directions, at the cost of what they told "
                "apart before."
            ),
            seen="SPHERE (arXiv 2510.01172): failing edits came with large swings of this energy.",
            remedies=("sphere", "alphaedit", "learning_rate", "ft_l", "fewer", "guard"),
        ),
        low=Side(
            means="Edits have pushed neurons away from the directions that training gave them.",
            seen="SPHERE (arXiv 2510.01172): failing edits came with large swings of this energy.",
            remedies=("sphere", "alphaedit", "learning_rate", "ft_l", "fewer", "guard"),
        ),
    ),
    "dominant_subspace": Text(
        figure=(
            "how much of a weight matrix's strongest directions are still those it had before editing (1: "
            "all)"
        ),
        low=Side(
            means="Edits have replaced the directions in which the matrix did most of its work.",
            seen=(
                "REVIVE (arXiv 2601.11042): general abilities hang on these directions, and repeated "
                "edits wear them away as the model collapses. The measure used here is our own."
            ),
            remedies=("encore", "alphaedit", "revive", "learning_rate", "ft_l", "fewer", "guard"),
        ),
    ),
    "nonfinite": Text(
        figure=(
            "the number of values that are NaN or infinite, in the weights or, if there are none, in the "
            "logits"
        ),
        high=Side(
            means="The model is broken: no other figure taken at this point means anything.",
            remedies=(
                "float32",
                "mended_key",
                "learning_rate",
                "ft_l",
                "frobenius",
                "fewer",
                "guard",
                "remake",
            ),
        ),
    ),
    # -- activations --
    "activation_norm": Text(
        figure="the average length of the vectors that a block passes on (the residual stream)",
        high=SWOLLEN,
        low=FADED,
    ),
    "activation_norm_median": Text(
        figure=(
            "the length of the vectors that a block passes on (the residual stream) over that before "
            "editing, for the median token"
        ),
        high=SWOLLEN,
        low=FADED,
    ),
    "activation_direction": Text(
        figure=(
            "how far the vectors that a block passes on still point where they pointed before editing (1: "
            "exactly)"
        ),
        low=Side(
            means=(
                "On text that no edit is about, the model's inner state has turned away from what later "
                "blocks read."
            ),
            seen=SHIFT,
            remedies=ACTIVATIONS,
        ),
    ),
    "contribution": Text(
        figure="the share of the model's last inner state that one attention or one MLP has written",
        high=Side(
            means="What this part writes crowds out what all others say.",
            seen=(
                "ENCORE (arXiv 2502.01636) shows edited MLPs take over the stream as their norms grow; that "
                "a share is a projection is our choice."
            ),
            remedies=ACTIVATIONS,
        ),
    ),
    "probe_accuracy": Text(
        figure=(
            "how well simple probes, fitted before editing, still tell two layers apart by their "
            "activations (0.5: by guessing)"
        ),
        low=Side(
            means=(
                "The activations have moved to where none were before editing, so that what was fitted to "
                "them, by probes here and by later blocks in training, no longer applies."
            ),
            seen=SHIFT,
            remedies=ACTIVATIONS,
        ),
    ),
    # -- what the model can do --
    "task_score": Text(
        figure="the score on a task that has nothing to do with the edits",
        low=Side(
            means="The edits cost the model an ability that nobody meant to change.",
            seen=f"{GUPTA} links norm growth to falling downstream scores. {FORGETTING}",
            remedies=DAMAGE,
        ),
    ),
    "untouched_facts": Text(
        figure="the share of facts known before editing, and edited by nobody, that the model still says",
        low=Side(
            means="The edits cost the model facts that they are not about: the plainest sign of damage.",
            seen=FORGETTING,
            remedies=DAMAGE,
        ),
    ),
    "kl_divergence": Text(
        figure=(
            "how far the predicted next word on ordinary text has moved from the unedited model's (KL, in "
            "nats)"
        ),
        high=Side(
            means="Text that no edit is about is continued differently: the change has spilled over.",
            remedies=DAMAGE,
        ),
    ),
    "perplexity": Text(
        figure="how surprised the model is by ordinary text (perplexity; less is better)",
        high=Side(
            means="It has become worse at plain language, not only at facts: the change has spilled over.",
            remedies=DAMAGE,
        ),
        low=Side(
            means=(
                "It fits this text better than allowed, as after training on the very text it is measured on."
            )
        ),
    ),
    "fluency": Text(
        figure="how varied the words are that the model writes (entropy of word pairs and triples, in bits)",
        low=Side(
            means="What it writes has begun to repeat itself.",
            remedies=DAMAGE,
        ),
        high=Side(
            means=(
                "What it writes is more varied than allowed, as when words no longer follow from each other."
            )
        ),
    ),
    # -- the edits --
    "edit_success": Text(
        figure="the share of edits after which the new answer was likelier than the old one",
        low=Side(
            means=(
                "Too many edits do not take, so the other checks say little: an editor that does nothing "
                "passes every check on stability."
            ),
            seen="Gupta et al. 2024 (arXiv 2401.07453): as edits go on, a model becomes harder to edit.",
            remedies=DID_NOT_TAKE,
        ),
    ),
    "edit_accuracy": Text(
        figure="the share of edits after which the model would write the new answer, token by token",
        low=Side(
            means="The new answers are not yet what the model would say, even where they beat the old ones.",
            remedies=DID_NOT_TAKE,
        ),
    ),
    "paraphrase_success": Text(
        figure="the share of paraphrased prompts on which the new answer wins",
        low=Side(
            means=(
                "The model has learnt a sentence, not a fact: asked in other words, it gives the old answer."
            ),
            remedies=("control", "closed_form", "relax", "more_steps", "fewer"),
        ),
    ),
    "neighborhood_success": Text(
        figure="the share of prompts about other, similar subjects on which the right answer still wins",
        low=Side(
            means="The edits spill over to subjects that they do not mention.",
            remedies=DAMAGE,
        ),
    ),
    "retention": Text(
        figure="the share of all edits so far whose new answer still wins now",
        low=LOST,
    ),
    "retention_accuracy": Text(
        figure="the share of all edits so far that the model would still write, token by token",
        low=LOST,
    ),
    "edit_retention": Text(
        figure="whether an edit made earlier still wins now (1) or not (0)",
        low=LOST,
    ),
    "value_norm": Text(
        figure="the mean length of the vectors that the editor wrote in its latest edits",
        high=Side(
            means=(
                "New facts are written with longer vectors than the unedited model needed, and the matrix "
                "grows with them."
            ),
            seen=(
                "NAS (arXiv 2602.02543): written values and edited weights drive each other's norms up, "
                "about exponentially, until the model collapses."
            ),
            remedies=("nas", "mended_key", "clamp", "frobenius", "fewer", "guard"),
        ),
    ),
    "training_loss": Text(
        figure="the editor's own loss in its latest edits, as it reports it",
        high=Side(
            means="It did not learn what it was given.",
            remedies=("more_steps", "fewer"),
        ),
        low=Side(
            means="It has learnt its few sentences by heart, the usual way to damage everything else.",
            remedies=("learning_rate", "ft_l", "fewer_steps"),
        ),
    ),
    # -- costs --
    "edit_seconds": Text(
        figure="the seconds that an edit took on average, on this machine",
        high=Side(
            means=(
                "Editing is slower than the suite allows, which says nothing of the model; a busy machine "
                "does it, too."
            ),
            remedies=COSTLY,
        ),
    ),
    "measure_seconds": Text(
        figure="the seconds that measuring a checkpoint took, on this machine",
        high=Side(
            means=(
                "Measuring is slower than the suite allows, which says nothing of the model; a busy "
                "machine does it, too."
            ),
            remedies=("less_text",),
        ),
    ),
    "peak_memory": Text(
        figure="the most memory that the process has held so far",
        high=Side(
            means="The run needs more memory than the suite allows, which says nothing of the model.",
            remedies=("half", "one_at_a_time", "less_text"),
        ),
    ),
    # -- two checkpoints on disk --
    "tensor_differences": Text(
        figure=("the number of tensors that one of the two checkpoints lacks, or has in another shape"),
        high=Side(
            means=(
                "The two are not the same kind of model, so loading the edited one may drop or convert "
                "weights."
            ),
            remedies=("saved_alike",),
        ),
    ),
    "dtype_differences": Text(
        figure="the number of tensors that the two checkpoints store in other dtypes",
        high=Side(
            means=(
                "The edited model is rounded otherwise than the base, which moves its results a little; "
                "the values themselves are compared apart from that."
            ),
            remedies=("saved_alike",),
        ),
    ),
    "config_differences": Text(
        figure="the number of settings in which the configurations of the two checkpoints differ",
        high=Side(
            means="The edited model would compute something else than the base even with the same weights.",
            remedies=("same_files",),
        ),
    ),
    "tokenizer_differences": Text(
        figure="the number of parts in which the tokenizers of the two checkpoints differ",
        high=Side(
            means="Text may reach the edited model as other tokens than those that it was trained on.",
            remedies=("same_files",),
        ),
    ),
    "delta_rank": Text(
        figure=(
            "the rank of a matrix's change: in how many independent directions it moved, beyond rounding "
            "(256: or more)"
        ),
        high=Side(
            means=(
                "More was done to it than the edits account for: a closed-form edit of n facts adds rank "
                "n at most, training or rescaling any."
            ),
            remedies=("look_at_table", "remake"),
        ),
        low=Side(
            means=(
                "It moved in fewer directions than there should be edits: some may be missing from the "
                "checkpoint."
            ),
            remedies=("look_at_table",),
        ),
    ),
}
