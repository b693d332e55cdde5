"""Upgrades of older records, schema by schema, to the one that this version writes.

A record is unchecked JSON here; it is validated after the last upgrade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stability.record.schema import SCHEMA_VERSION
from stability.record.upgrades.schema_1 import to_schema_2

NEXT: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: to_schema_2}
OLDEST = min(NEXT)


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """The same record in this version's schema; `content` has that schema or an older one.

    Raises:
        KeyError, TypeError, ValueError: the content is not a record of its schema.
    """
    while content["schema_version"] < SCHEMA_VERSION:
        content = NEXT[content["schema_version"]](content)
    return content
