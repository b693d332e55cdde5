"""One edit request: what the model shall say about a subject from now on."""

from __future__ import annotations

from dataclasses import dataclass

from stability.errors import DataError


@dataclass(frozen=True)
class Edit:
    """One fact to be rewritten.

    `prompt` holds exactly one `{}`, where `subject` goes. `target` and `target_true` are written without a
    leading space. `space` says whether one stands between any of the prompts and a target: one, none, or, if
    it is None, one where the script of both writes spaces. There is never one after white space, which
    prompts keep. Whoever tokenises calls `stability.models.encode`, which puts it there.

    The paraphrase and neighborhood prompts are complete (their subject is filled in) and are scored as
    CounterFact scores them: on a paraphrase the new target should win, on a neighborhood prompt (another
    subject that shares `target_true`) the true one.
    """

    id: str
    prompt: str
    subject: str
    target: str
    target_true: str | None = None
    paraphrase_prompts: tuple[str, ...] = ()
    neighborhood_prompts: tuple[str, ...] = ()
    space: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or len(self.id.splitlines()) != 1:
            raise DataError(f"edit {self.id!r}: id: expected one line of text")
        for name in ("prompt", "subject", "target", "target_true"):
            value = getattr(self, name)
            if not isinstance(value, str) and not (name == "target_true" and value is None):
                raise DataError(f"edit {self.id}: {name}: expected text, got {value!r}")
        for name in ("paraphrase_prompts", "neighborhood_prompts"):
            value = getattr(self, name)
            if not isinstance(value, tuple | list) or not all(isinstance(item, str) for item in value):
                raise DataError(f"edit {self.id}: {name}: expected a tuple of texts, got {value!r}")
        if not isinstance(self.space, bool | None):
            raise DataError(f"edit {self.id}: space: expected true or false, got {self.space!r}")
        if self.prompt.count("{}") != 1:
            raise DataError(
                f"edit {self.id}: prompt must hold exactly one '{{}}' for the subject, got {self.prompt!r}"
            )
        for name in ("subject", "target"):
            if not getattr(self, name).strip():
                raise DataError(f"edit {self.id}: {name} is empty")

    @property
    def filled(self) -> str:
        """The prompt with the subject filled in."""
        return self.prompt.replace("{}", self.subject)
