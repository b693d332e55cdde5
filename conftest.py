"""Shared by the suites and the tests; the plugin that collects suites comes with the installation."""

pytest_plugins = ["pytester"]
