"""Wrappers: editors that go round another one and change the change that it makes."""
