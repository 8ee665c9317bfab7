"""The one style sheet of the HTML view; its hash stands in the page's content security policy."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --paper: #fff; --shade: #f4f6f8; --line: #d0d7de;
  --link: #0550ae; --good: #116329; --bad: #a40e26; --open: #7a4e00; --join: #dafbe1; --leave: #ffebe9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --paper: #0d1117; --shade: #161b22;
  --line: #3d444d; --link: #79c0ff; --good: #56d364; --bad: #ff8182; --open: #e3b341; --join: #12361d;
  --leave: #4a1519; } }
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 0.25rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible, .wide:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; }
.skip { position: absolute; left: -100vw; } .skip:focus { position: static; }
code, pre { font: 0.875rem/1.45 ui-monospace, monospace; }
pre { background: var(--shade); padding: 0.6rem; overflow-x: auto; border-radius: 6px; white-space: pre; }
.verdict { border-left: 6px solid; padding: 0.5rem 1rem; background: var(--shade); }
.good { color: var(--good); } .bad { color: var(--bad); } .open, .warning { color: var(--open); }
.error { color: var(--bad); } .verdict p { color: var(--ink); margin: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; margin: 0.5rem 0; }
dt, .soft { color: var(--soft); } dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { border: 1px solid var(--line); padding: 0.2rem 0.6rem; text-align: left;
  vertical-align: top; } thead th { background: var(--shade); }
td.joins { background: var(--join); } td.leaves { background: var(--leave); } td.out { color: var(--soft); }
.step { border: 1px solid var(--line); border-radius: 6px; padding: 0.6rem 1rem; margin: 0.75rem 0; }
.step:target { border-color: var(--link); box-shadow: 0 0 0 2px var(--link); }
.step nav { float: right; display: flex; gap: 1rem; padding-left: 1rem; } .step h3 { margin-top: 0; }
.step p { margin: 0.2rem 0; } .step .wide { margin-top: 0.5rem; } caption { text-align: left; padding: 0.2rem 0; }
.index { columns: 22rem auto; padding-left: 1.5rem; }
summary { cursor: pointer; }
@media (max-width: 40rem) { body { padding: 0.5rem; } dl { grid-template-columns: 1fr; } dt { margin-top: 0.4rem; } }
@media print { nav, .skip { display: none; } body { max-width: none; } .step { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; } pre { white-space: pre-wrap; } }
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""Nothing is loaded, nothing is run, nothing is sent; this style sheet alone is applied."""
