"""Both packages as a user has them: installed by pip, run by the command line in a process of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stability.record import read_record

PACKAGES = Path(__file__).parent / "packages"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip has installed the two packages."""
    folder = tmp_path_factory.mktemp("installed")
    sources = [shutil.copytree(PACKAGES / name, folder / name) for name in ("rank-one", "flat-edit")]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    options = ["--no-build-isolation", "--disable-pip-version-check", "--target", folder / "site"]
    done = subprocess.run([*pip, *options, *sources], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_an_adapter_and_an_entry_point_run_the_same_editor(site, tmp_path, stability_command):
    suite = {
        "schema": 1,
        "name": "tiny",
        "model": "world",
        "editors": [
            {
                "kmeng": {
                    "apply": "rank_one.apply_rank_one_to_model",
                    "hparams": str(site / "rank_one/world.json"),
                }
            },
            "rank-one",
            {
                "easyedit": {
                    "algorithm": "FT",
                    "table": "flatedit.util.alg_dict:ALG_DICT",
                    "hparams": str(site / "flatedit/ft.yaml"),
                }
            },
            "flat-ft",
        ],
        "run": {"edits": {"source": "world", "count": 20}},
        "text": {"source": "world", "tokens": 800},
        "probes": {"tokens": 300},
        "may_change": {"layers": [0], "matrices": ["mlp_out"]},
        "checks": {
            "edits_took": {"metric": "edit_success", "assert": ">= 0.9"},
            "frozen": {"metric": "frozen_weights", "assert": "== 0"},
        },
    }
    (tmp_path / "tiny.stability.yaml").write_text(yaml.safe_dump(suite))
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [stability_command, "run", "tiny.stability.yaml", "--edits", "2", "--out", "out"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Editing" not in done.stdout + done.stderr
    kmeng, rank_one, easyedit, flat_ft = read_record(tmp_path / "out" / "run.json").runs
    assert (rank_one.editor.source, rank_one.editor.version) == ("entry point of rank-one", "0.3")
    assert flat_ft.editor.source == "entry point of flat-edit"
    for adapter, entry_point in ((kmeng, rank_one), (easyedit, flat_ft)):
        assert adapter.status == entry_point.status == "complete"
        assert adapter.edits == entry_point.edits
        changed = [checkpoint.changed for checkpoint in adapter.checkpoints]
        assert changed == [checkpoint.changed for checkpoint in entry_point.checkpoints]
        assert changed[-1] == ("transformer.h.0.mlp.c_proj.weight",)
    assert kmeng.edits != easyedit.edits
    assert kmeng.editor.settings["hyperparameters"] == rank_one.editor.settings["hyperparameters"]
