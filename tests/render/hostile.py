"""Names and messages that want to be more than text, and plans made of them."""

from __future__ import annotations

import msgspec

from gatekeep.model.plan import Change, Finding, Plan, ServiceForecast, Step, sealed
from gatekeep.model.waits import EndpointsWait
from tests.render.samples import GATED, label, sample, step

HOSTILE = (
    "<script>alert(1)</script>",
    "<!-- gatekeep: other/gate -->",
    "--> <img src=x onerror=alert(1)>",
    "@octocat please",
    "x@octocat",
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "https://evil.example",
    "www.evil.example",
    "``` \n# heading",
    "`` ` ```",
    "`",
    "a|b||c",
    "# not a heading",
    "#1 GH-2 owner/repo#3 deadbeefcafe",
    "- [ ] task",
    "1. one",
    ":boom: $x$ ~~y~~ **z** _w_",
    "</details><h1>",
    "</textarea></style></code></pre>",
    "\u202egnp.exe\u202c",
    "a\u200bb\x1b[31mc\x00d\r\ne",
    "&lt;b&gt; &#64;octocat",
    "' \" $(id) `id` \\",
    "",
)


def hostile_plan(text: str) -> Plan:
    """The sample plan with ``text`` wherever a plan holds text from outside."""
    plan = sample()
    changes = tuple(msgspec.structs.replace(label("pod"), name=text, namespace=text) for _ in range(2))
    steps = (
        Step(1, 1, "Patch", text, text, changes=changes),
        step(2, 2, "Wait", text, wait=EndpointsWait(text, text, {text: text}, (text,))),
    )
    services = (ServiceForecast(text, text, (text, "old"), (text, "new"), 1, 1),)
    finding = Finding("warning", text, text, object=text, file=text, line=3)
    reverts = Finding("warning", "will-be-reverted", text, object=text)
    gate = msgspec.structs.replace(plan.gates[0], namespace=text, name=text, key=text, value=text, services=(text,))
    cluster = msgspec.structs.replace(plan.cluster, uid=text, server=text, version=text)
    source = msgspec.structs.replace(plan.source, repository=text, revision=text, policies=())
    return sealed(msgspec.structs.replace(plan, steps=steps, services=services, findings=(finding, reverts),
                                          gates=(gate,), cluster=cluster, source=source))  # fmt: skip


def large_plan(pods: int, *, steps: int = 0, services: int = 1, findings: int = 0) -> Plan:
    """Many pods that join ``services`` Services, in one step and then in ``steps`` more."""
    names = [f"web-6b7f9c5d8-{number:05}" for number in range(pods)]
    changes: tuple[Change, ...] = tuple(map(label, names))
    first = step(1, 1, "Patch", "label the pods that join", *changes)
    more = [step(number, number, "Patch", f"reason {number}", label(f"pod-{number}")) for number in range(2, steps + 2)]
    last = step(steps + 2, steps + 2, "Wait", "seen", wait=EndpointsWait("shop", "rng", GATED, tuple(names)))
    forecasts = [ServiceForecast("shop", f"rng-{number}", (), tuple(names), 1, 0) for number in range(services)]
    notes = [Finding("info", "mixed-owners", f"message {number} " * 20, object="Service shop/rng")
             for number in range(findings)]  # fmt: skip
    return sample(steps=(first, *more, last), services=tuple(forecasts), findings=tuple(notes))
