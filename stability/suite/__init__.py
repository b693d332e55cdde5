"""The suite language: a YAML file in, a checked `SuiteSpec` out."""

from stability.suite.bounds import Bound, parse_bound
from stability.suite.loader import SuiteFile, load_suite, parse_suite
from stability.suite.schema import (
    CheckSpec,
    EditorSpec,
    EditsSpec,
    LimitsSpec,
    ModelSpec,
    ProbesSpec,
    SuiteSpec,
    TasksSpec,
)

__all__ = [
    "Bound",
    "CheckSpec",
    "EditorSpec",
    "EditsSpec",
    "LimitsSpec",
    "ModelSpec",
    "ProbesSpec",
    "SuiteFile",
    "SuiteSpec",
    "TasksSpec",
    "load_suite",
    "parse_bound",
    "parse_suite",
]
