"""The pictures of the README and of the documentation, taken of real reports with a real browser.

    python docs/pictures.py

`make sample` has to have been run before. Chromium is looked for on the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
SAMPLE = DOCS.parent / "reports" / "sample" / "report.html"
HEIGHT = 1075  # pixels: the table of who fails where first
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def main() -> None:
    """Take every picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("docs/pictures.py: no chromium on the path to take pictures with; install it")
    if not SAMPLE.exists():
        sys.exit("docs/pictures.py: reports/sample/report.html is missing; make it with: make sample")
    picture(chromium, SAMPLE, DOCS / "report.png", HEIGHT)


def picture(chromium: str, page: Path, file: Path, height: int) -> None:
    """A page's first so many pixels, 1280 wide."""
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                chromium,
                *SWITCHES,
                f"--user-data-dir={profile}",
                f"--window-size=1280,{height}",
                f"--screenshot={file}",
                page.as_uri(),
            ],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
