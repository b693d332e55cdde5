"""What is slow to work out, kept on disk by what it was worked out from; nothing here knows what that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.store.digest import octets, tensors_fingerprint
    from stability.store.entries import StoreEntry, all_entries, prune
    from stability.store.places import bound, default_folder
    from stability.store.store import Store

__all__ = [
    "Store",
    "StoreEntry",
    "all_entries",
    "bound",
    "default_folder",
    "octets",
    "prune",
    "tensors_fingerprint",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.store.digest": ("octets", "tensors_fingerprint"),
        "stability.store.entries": ("StoreEntry", "all_entries", "prune"),
        "stability.store.places": ("bound", "default_folder"),
        "stability.store.store": ("Store",),
    },
)
