"""Shared by the suites under suites/ and the tests under tests/: the plugin itself comes with the installation."""

pytest_plugins = ["pytester"]
