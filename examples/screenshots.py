"""Pictures for the documentation: one plan in the terminal, as a comment and as a page, taken by headless Chromium.

Run it from the repository's root: ``python -m examples.screenshots``. The Markdown of a comment is drawn by a few lines
of this module, which know only what gatekeep writes; a forge draws it much the same.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from examples.make import HERE, WIDTH, plan_of
from gatekeep.render.html import plan_html
from gatekeep.render.markdown import plan_markdown
from gatekeep.render.style import Style
from gatekeep.render.text import plan_text

TARGET = HERE.parent / "docs" / "images"
EXAMPLE = "canary-steps"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ANSI = re.compile(r"\x1b\[([\d;]*)m")
_SPAN = re.compile(r"(`+) ?(.+?) ?\1")
_LOOKS = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
_PAGE = """\
<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 16px; font: 15px/1.5 sans-serif; background: #fff; color: #1f2328; }}
.terminal {{ background: #0d1117; color: #e6edf3; }} pre {{ font: 13px/1.35 monospace; margin: 0; }}
.bold {{ font-weight: bold; }} .dim {{ color: #9aa5b1; }} .red {{ color: #ff8182; }} .green {{ color: #56d364; }}
.yellow {{ color: #e3b341; }} .cyan {{ color: #76e3ea; }}
.comment code, .comment pre {{ background: #f4f6f8; padding: 1px 4px; font: 12px/1.4 monospace; }}
.comment pre {{ padding: 10px; }} li {{ margin-left: 24px; }} h3, h4 {{ margin: 14px 0 6px; }}
</style><body class="{look}">{body}</body>
"""


class Picture(NamedTuple):
    """A page, and the size in which it is taken."""

    name: str
    page: str
    width: int
    height: int


def pictures() -> list[Picture]:
    """The three views of one plan."""
    plan = plan_of(EXAMPLE)
    text = plan_text(plan, Style(color=True, width=WIDTH))
    terminal = _PAGE.format(look="terminal", body=f"<pre>{''.join(_colored(text))}</pre>")
    comment = _PAGE.format(look="comment", body="\n".join(_drawn(plan_markdown(plan))))
    return [
        Picture("terminal.png", terminal, 860, 36 + 18 * (text.count("\n") + 1)),
        Picture("comment.png", comment, 900, 860),
        Picture("page.png", plan_html(plan), 1000, 1500),
    ]


def _colored(text: str) -> Iterator[str]:
    """Escape sequences as spans; ``\\x1b[0m`` ends whatever stands."""
    pieces = _ANSI.split(text)
    yield html.escape(pieces[0])
    for codes, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        looks = " ".join(_LOOKS[code] for code in codes.split(";") if code in _LOOKS)
        yield f'<span class="{looks}">{html.escape(piece)}</span>' if looks else html.escape(piece)


def _drawn(markdown: str) -> Iterator[str]:
    """The Markdown that gatekeep writes, as HTML."""
    fence = ""
    for line in markdown.splitlines():
        if fence:
            yield "</pre>" if line == fence else html.escape(line)
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = "`" * (len(line) - len(line.lstrip("`")))
            yield "<pre>"
        elif line.startswith("#"):
            level = len(line) - len(line.lstrip("#"))
            yield f"<h{level}>{_inline(line.lstrip('# '))}</h{level}>"
        elif line.startswith("- "):
            yield f"<li>{_inline(line[2:])}</li>"
        elif line.startswith("<"):
            yield line
        elif line:
            yield f"<p>{_inline(line)}</p>"


def _inline(text: str) -> str:
    drawn = _SPAN.sub(lambda found: f"<code>{found[2]}</code>", html.escape(text, quote=False))
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", drawn)


def main() -> int:
    """Takes all pictures; 1 without a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"none of {', '.join(BROWSERS)} is in PATH; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for picture in pictures():
            page = Path(folder) / "page.html"
            page.write_text(picture.page)
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/p"]
            size = f"--window-size={picture.width},{picture.height}"
            shot = f"--screenshot={TARGET / picture.name}"
            subprocess.run([browser, *flags, size, shot, page.as_uri()], check=True, capture_output=True, timeout=120)
    return 0


if __name__ == "__main__":
    sys.exit(main())
