"""Tests of whether a drop in a task's score is real or may be due to chance."""
