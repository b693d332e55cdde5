"""Whether an edited checkpoint is configured as the unedited one is."""

from __future__ import annotations

from stability.parts import MetricHead


class ConfigDifferences:
    """Keys of config.json with other values; what every save writes anew does not count."""

    head = MetricHead(
        "config_differences",
        "keys in which the configurations of two checkpoints differ",
        over="scalar",
        unit="differences",
        measured="gate",
        streamed=True,
        unedited=0.0,
    )
