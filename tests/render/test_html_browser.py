"""The page in Chromium, where there is one: the policy lets its own style through, and nothing else runs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from examples.make import plan_of
from gatekeep.render.html import plan_html
from tests.render.hostile import HOSTILE, hostile_plan

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here; test_html parses the page")


def opened(page: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Opens the page; what it became goes to stdout, what the browser refused to stderr."""
    (folder / "page.html").write_text(page)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={folder}/profile",
    ]
    command = [str(CHROMIUM), *flags, "--dump-dom", (folder / "page.html").as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def test_the_browser_refuses_nothing_of_the_page(tmp_path: Path) -> None:
    run = opened(plan_html(plan_of("rng")), tmp_path)
    assert "Content Security Policy" not in run.stderr
    assert 'id="step-18"' in run.stdout


def test_the_policy_stops_what_should_not_be_there(tmp_path: Path) -> None:
    page = plan_html(plan_of("rng")).replace("</main>", "<script>document.body.id = 'ran'</script></main>")
    run = opened(page, tmp_path)
    assert "Content Security Policy" in run.stderr
    assert 'id="ran"' not in run.stdout


def test_text_stays_text(tmp_path: Path) -> None:
    run = opened(plan_html(hostile_plan(" ".join(HOSTILE))), tmp_path)
    assert "Content Security Policy" not in run.stderr
    assert "<script" not in run.stdout
    assert "<img" not in run.stdout
