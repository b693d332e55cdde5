"""Hypothesis strategies for edits: valid requests, with subjects and targets that are hard to handle."""

from __future__ import annotations

from stability.data.edits import Edit
from stability.errors import UsageError
from stability.testing.edits import UNUSUAL_EDITS

try:
    from hypothesis import strategies as st
    from hypothesis.strategies import SearchStrategy
except ImportError as error:
    raise UsageError(
        "the strategies for edits need hypothesis, which is not installed: "
        "pip install 'stability-harness[testing]'"
    ) from error

LONGEST = 24  # characters of a drawn name
WORDS = ("Anna Berg", "Rome", "the old house by the river", "O'Neill & Sons, Ltd.", "Windows 95", "x")
PROMPTS = (
    "{} plays the",
    "The oboe is played by {}",
    "In Rome, {} and nobody else plays the",
    "{}",
    "It is said of {} (of all people) that",
)


def names() -> SearchStrategy[str]:
    """A subject or a target: common names, those of unusual form, and any text that is not blank."""
    unusual = sorted({edit.subject for edit in UNUSUAL_EDITS} | {edit.target for edit in UNUSUAL_EDITS})
    # Surrogates are no text, and control characters are no part of a name.
    letters = st.characters(exclude_categories=("Cs", "Cc"))
    drawn = st.text(letters, min_size=1, max_size=LONGEST).map(str.strip).filter(bool)
    return st.one_of(st.sampled_from(WORDS), st.sampled_from(unusual), drawn)


def prompts() -> SearchStrategy[str]:
    """A prompt with one `{}`: at its start, in the middle, at its end, or nothing else."""
    return st.sampled_from(PROMPTS)


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """A valid edit; its subject may also stand in the prompt a second time, and it may lack a true target."""
    subject, prompt = draw(names()), draw(prompts())
    if draw(st.booleans()) and "{}" not in subject:
        prompt = f"{subject}: {prompt}"
    target = draw(names())
    true = draw(st.none() | names().filter(lambda name: name != target))
    number = draw(st.integers(min_value=0, max_value=9999))
    return Edit(f"edit-{number}", prompt, subject, target, true)


def edit_lists(min_size: int = 1, max_size: int = 4) -> SearchStrategy[list[Edit]]:
    """Several edits, as they come in one run, with ids that differ."""
    return st.lists(edits(), min_size=min_size, max_size=max_size, unique_by=lambda edit: edit.id)
