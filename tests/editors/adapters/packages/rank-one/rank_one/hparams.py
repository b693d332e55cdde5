import json
from dataclasses import dataclass
from pathlib import Path


@dataclass
class RankOneHyperParams:
    layers: list
    steps: int
    lr: float
    contexts: int
    rewrite_module_tmp: str

    @classmethod
    def from_json(cls, fpath):
        return cls(**json.loads(Path(fpath).read_text()))
