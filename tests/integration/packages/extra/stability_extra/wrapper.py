"""A wrapper that makes half of a change."""

from __future__ import annotations

from typing import Any

from stability.editors import EditorHead, Restraint, Wrapper, WrapperSettings


class HalveSettings(WrapperSettings):
    """Settings of the wrapper."""

    share: float = 0.5


class Halve(Wrapper):
    """ΔW times `share`."""

    head = EditorHead(
        "halve",
        "around an editor: makes half of its change",
        family="wrapper",
        holds_back=Restraint("share", lambda share: min(1.0, 2 * share)),
    )
    Settings = HalveSettings
    settings: HalveSettings

    def change(self, name: str, weight: Any, delta: Any) -> Any:
        """The change, made smaller."""
        return delta * self.settings.share
