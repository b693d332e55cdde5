"""An algorithm of the table as an entry point."""

from pathlib import Path

from stability.editors.adapters import EasyEdit, EasyEditSettings


class FT(EasyEdit):
    class Settings(EasyEditSettings):
        algorithm: str = "FT"
        table: str = "flatedit.util.alg_dict:ALG_DICT"
        hparams: str = str(Path(__file__).with_name("ft.yaml"))
