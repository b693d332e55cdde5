"""The Python door: load a suite, run it on a model, judge a record, write the reports.

The command line and the pytest plugin are made of these and add no logic of their own. What needs torch is
imported inside the functions that run a model, so that judging a record does not.
"""

from stability.api.gating import gate
from stability.api.given import Bench
from stability.api.kept import load_kept
from stability.api.report import Report, StabilityFailure
from stability.api.suite import Suite, judge

__all__ = ["Bench", "Report", "StabilityFailure", "Suite", "gate", "judge", "load_kept"]
