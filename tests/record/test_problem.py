"""Problems as data: a kind from a closed set, one line for people, and what it is about."""

import pickle

import pytest
from pydantic import ValidationError

from stability.errors import DataError, EditorError, MeasurementError, StabilityError
from stability.record import Problem


def test_an_error_has_the_kind_of_its_class_unless_it_says_another() -> None:
    assert EditorError("no layer 7").kind == "editor_raised"
    assert DataError("no such file").kind == "no_data"
    assert MeasurementError("3 of 8 are NaN", kind="not_finite", count=3).kind == "not_finite"


def test_a_problem_keeps_what_an_error_says_and_is_about() -> None:
    error = MeasurementError("3 of 8 are NaN", kind="not_finite", count=3)
    found = Problem.of(error, metric="perplexity")
    assert found == Problem(kind="not_finite", message="3 of 8 are NaN", count=3, metric="perplexity")
    assert str(found) == "3 of 8 are NaN"


def test_an_error_survives_the_way_to_another_process() -> None:
    error: StabilityError = pickle.loads(pickle.dumps(DataError("gone", file="a.json")))
    assert (error.kind, str(error), error.details) == ("no_data", "gone", {"file": "a.json"})


def test_a_problem_is_written_without_the_fields_that_do_not_apply_and_read_back() -> None:
    problem = Problem(kind="needs_level", message="needs --level tasks", level="tasks")
    text = problem.model_dump_json()
    assert text == '{"kind":"needs_level","message":"needs --level tasks","level":"tasks"}'
    assert Problem.model_validate_json(text) == problem


def test_a_kind_and_a_field_that_a_later_version_wrote_are_read_and_told_as_unknown() -> None:
    later = {"kind": "eaten_by_a_banana", "message": "maintenance window", "fruit": "banana"}
    assert Problem.model_validate(later) == Problem(kind="unknown", message="maintenance window")


def test_a_kind_is_a_word() -> None:
    with pytest.raises(ValidationError, match="kind"):
        Problem.model_validate({"kind": 3, "message": "maintenance window"})
