"""The sequential run: edit, checkpoint, measure, until the last edit or the first failure."""

from stability.engine.examination import Examination
from stability.engine.progress import Listener, Silent
from stability.engine.run import Experiment, run_suite

__all__ = ["Examination", "Experiment", "Listener", "Silent", "run_suite"]
