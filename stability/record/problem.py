"""Why something was not measured or judged, as data: what kind of problem it is, and what it is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack, get_args

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, field_validator, model_serializer

from stability.errors import Details, ProblemKind, StabilityError


class Problem(BaseModel):
    """A problem, with a kind from a closed set. `message` is one line for people; programs do not read it.

    The other fields are those of `stability.errors.Details`, each None if it does not apply.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ProblemKind
    message: str
    metric: str | None = None
    task: str | None = None
    layer: int | None = None
    edits: int | None = None
    seed: int | None = None
    count: int | None = None
    level: str | None = None
    file: str | None = None
    expected: str | None = None
    got: str | None = None
    command: str | None = None

    @field_validator("kind", mode="before")
    @classmethod
    def _known(cls, kind: object) -> object:
        """Replace a kind that this version does not know, as a later one may write it."""
        return kind if kind in get_args(ProblemKind) or not isinstance(kind, str) else "unknown"

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if value is not None)

    def __str__(self) -> str:
        """The message."""
        return self.message

    @model_serializer(mode="wrap")
    def _without_blanks(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    @classmethod
    def of(cls, error: StabilityError, **details: Unpack[Details]) -> Problem:
        """The problem of an error; `details` are added to those of the error."""
        return cls(kind=error.kind, message=str(error), **{**error.details, **details})
