"""Keeping lm-eval and datasets from disturbing the harness: log lines and progress bars."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import datasets

CHATTY = ("lm_eval", "datasets", "huggingface_hub")


@contextmanager
def quiet() -> Iterator[None]:
    """No log line of theirs below an error, and no progress bar of datasets'."""
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    bars = datasets.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if bars:
            datasets.enable_progress_bars()


@contextmanager
def no_bar() -> Iterator[None]:
    """No progress bar of lm-eval's over documents: it has no switch, and tqdm writes to what stderr is."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
