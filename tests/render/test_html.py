"""The page: no script, no network, every link leads somewhere, and text stays text. Parsed as a browser would."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from examples.make import CLUSTERS, plan_of
from gatekeep.model.plan import Finding, Plan, Proof
from gatekeep.render.escape import escape
from gatekeep.render.html import LIMIT, plan_html
from gatekeep.render.html_style import POLICY, STYLE
from tests.render.hostile import HOSTILE, hostile_plan, large_plan
from tests.render.samples import sample

ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "a", "header", "main", "h1", "h2", "h3", "p", "div", "span",
    "strong", "dl", "dt", "dd", "code", "pre", "ul", "ol", "li", "nav", "section", "details", "summary", "table",
    "caption", "thead", "tbody", "tr", "th", "td"
}  # fmt: skip
VOID = {"meta"}
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "href", "id", "aria-label", "aria-labelledby",
    "tabindex", "scope"
}  # fmt: skip


class Page(HTMLParser):
    """What stands on a page: elements, attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.comments: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.extend((name, value or "") for name, value in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def values(self, name: str) -> list[str]:
        """The values of an attribute, wherever it stands."""
        return [value for found, value in self.attributes if found == name]

    @property
    def words(self) -> str:
        """All text but the style sheet."""
        return " ".join(data for tag, data in self.texts if tag != "style")


PLANS = [*map(plan_of, CLUSTERS), large_plan(300), sample(proof=Proof(False, 3, "no")), sample(steps=())]


@pytest.mark.parametrize("plan", [*PLANS, *map(hostile_plan, HOSTILE)])
def test_a_page_runs_nothing_loads_nothing_and_sends_nothing(plan: Plan) -> None:
    text = plan_html(plan)
    page = Page(text)
    assert not page.open
    assert page.elements <= ELEMENTS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert not page.comments
    assert all(value.startswith("#") for value in page.values("href"))
    assert not re.search(r"url\(|@import|expression", STYLE)
    assert page.values("content")[0] == POLICY


@pytest.mark.parametrize("plan", PLANS)
def test_every_link_leads_somewhere(plan: Plan) -> None:
    page = Page(plan_html(plan))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in page.values("href")} <= set(ids)
    assert set(page.values("aria-labelledby")) <= set(ids)
    for step in plan.steps:
        assert f"step-{step.number}" in ids
    if len(plan.steps) > 1:
        assert page.values("href").count("#step-2") >= 2


def test_the_policy_allows_this_style_sheet_alone() -> None:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert "default-src 'none'" in POLICY
    assert f"style-src 'sha256-{digest}'" in POLICY
    assert "unsafe" not in POLICY
    assert f"<style>{STYLE}</style>" in plan_html(sample())


@pytest.mark.parametrize("text", [text for text in HOSTILE if text])
def test_text_from_outside_is_text(text: str) -> None:
    assert escape(text).strip() in Page(plan_html(hostile_plan(text))).words


def test_it_says_what_the_text_says() -> None:
    findings = (
        Finding("warning", "will-be-reverted", "Argo CD writes it", object="Service shop/rng"),
        *sample().findings,
    )
    words = Page(plan_html(sample(findings=findings))).words
    for part in ("proved", "before 3 → least 3 → after 3", "at least 3 must stay (floor 2)", "Argo CD writes it",
                 "pods born later stay out", "Who might revert it", "gatekeep retire shop/rng", "switch the selector",
                 "once phase 3 is done: nobody has joined or left"):  # fmt: skip
        assert part in words, part


def test_a_refused_plan_has_no_way_back() -> None:
    words = Page(plan_html(sample(proof=Proof(False, 3, "Service shop/rng has 0")))).words
    assert "REFUSED: Service shop/rng has 0" in words
    assert "The way back" not in words


@pytest.mark.parametrize(
    "plan",
    [large_plan(2_000), large_plan(2_000, steps=5_000), large_plan(500, services=600, findings=5_000)],
    ids=["pods", "steps", "services"],
)
def test_a_page_is_never_larger_than_it_may_be(plan: Plan) -> None:
    text = plan_html(plan)
    assert len(text.encode()) <= LIMIT
    page = Page(text)
    assert not page.open
    assert {value.removeprefix("#") for value in page.values("href")} <= {*page.values("id")}


def test_two_thousand_pods_are_a_small_page() -> None:
    text = plan_html(large_plan(2_000))
    assert len(text.encode()) < 100_000
    assert "2,000 pods" in text


def test_who_joins_and_who_leaves_stands_in_a_table() -> None:
    words = " ".join(Page(plan_html(plan_of("canary-steps"))).words.split())
    assert "in rotation once phase 9 is done" in words
    assert words.count("− leaves") == 8
    assert "10 pods" in words
