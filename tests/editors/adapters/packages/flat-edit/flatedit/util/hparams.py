from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass
class HyperParams:
    alg_name: str

    @classmethod
    def from_hparams(cls, hparams_name_or_path: str):
        if ".yaml" not in hparams_name_or_path:
            hparams_name_or_path = hparams_name_or_path + ".yaml"
        config = yaml.safe_load(Path(hparams_name_or_path).read_text())
        for key, value in config.items():
            with suppress(ValueError):  # 5e-3 is a string to YAML
                config[key] = float(value) if isinstance(value, str) else value
        assert config["alg_name"] == cls.alg, f"{cls.__name__} can not load alg_name {config['alg_name']}"
        return cls(**config)
