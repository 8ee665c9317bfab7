"""JUnit XML as Jenkins and GitLab read it: one case for each finding, of which the errors have failed.

The elements and attributes are those that junit-10.xsd of Jenkins' xUnit plugin knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from gatekeep.render.escape import escape
from gatekeep.render.findings import LintItem
from gatekeep.render.reports_machine import said, shown_place


def junit(items: Sequence[LintItem], command: str) -> str:
    """A suite that is never empty: a reader takes one without cases for a run that did not happen."""
    failures = str(sum(item.finding.severity == "error" for item in items))
    counts = {"tests": str(max(1, len(items))), "failures": failures, "errors": "0"}
    root = ET.Element("testsuites", {"name": "gatekeep", **counts, "time": "0"})
    suite = ET.SubElement(root, "testsuite", {"name": f"gatekeep {command}", **counts, "skipped": "0", "time": "0"})
    for item in items:
        _case(suite, item, command)
    if not items:
        ET.SubElement(suite, "testcase", {"classname": f"gatekeep.{command}", "name": "no findings", "time": "0"})
    ET.indent(root)
    # Written by hand: ElementTree's own has single quotes, and depends on the locale in some versions.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, item: LintItem, command: str) -> None:
    finding, message, where = item.finding, said(item), shown_place(item)
    rule = escape(finding.rule)
    name = " ".join(part for part in (rule, where or escape(finding.object)) if part)
    attributes = {"classname": f"gatekeep.{command}.{rule}", "name": name, "time": "0"}
    case = ET.SubElement(suite, "testcase", {key: _legal(value) for key, value in attributes.items()})
    text = _legal(f"{where}: {message}" if where else message)
    if finding.severity == "error":
        failure = ET.SubElement(case, "failure", {"message": _legal(message), "type": _legal(rule)})
        failure.text = text
    else:
        ET.SubElement(case, "system-out").text = f"{finding.severity}: {text}"


def _legal(text: str) -> str:
    """``text`` without the characters that XML 1.0 has no way to write."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if _is_legal(ord(char)))


def _is_legal(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
