"""The editor as an entry point: the adapter with this package's own function and file."""

from pathlib import Path

from stability.editors.adapters import Kmeng, KmengSettings


class Editor(Kmeng):
    class Settings(KmengSettings):
        apply: str = "rank_one.apply_rank_one_to_model"
        hparams: str = str(Path(__file__).with_name("world.json"))
