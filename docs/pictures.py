"""The pictures of the README and of the documentation, made from real runs with a real browser.

    python docs/pictures.py

`make sample` has to have been run before. ROME is run for 300 edits, in some minutes, unless reports/rome-300
holds that already. Chromium is looked for on the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "reports" / "sample"
ROME = ROOT / "reports" / "rome-300"
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> None:
    """Make every picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("docs/pictures.py: no chromium on the path to take pictures with; install it")
    if not (SAMPLE / "report.html").exists():
        sys.exit(
            f"docs/pictures.py: {SAMPLE.relative_to(ROOT)}/report.html is missing; make it with: make sample"
        )
    if not (ROME / "report.html").exists():
        at = [word for edits in (60, 120, 200) for word in ("--checkpoint", str(edits))]
        smoke = ["run", "suites/smoke.stability.yaml", "--editor", "rome", "--edits", "300"]
        stability(*smoke, *at, "--out", str(ROME))
    picture(chromium, ROME / "report.html", ROOT / "docs" / "report.png", height=2500)
    picture(chromium, SAMPLE / "report.html", ROOT / "docs" / "sample.png", height=900)


def stability(*words: str) -> None:
    """Run the harness, whatever the verdict."""
    done = subprocess.run([sys.executable, "-m", "stability", *words], cwd=ROOT, check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)


def picture(chromium: str, page: Path, file: Path, height: int) -> None:
    """A page's first so many pixels, 1280 wide."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [chromium, *SWITCHES, f"--user-data-dir={profile}", f"--window-size=1280,{height}",
             f"--screenshot={file}", page.as_uri()],
            check=True,
            capture_output=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
