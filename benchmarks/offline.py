"""Planning and proof at sizes that no test cluster has: from JSON pages in memory to the text of the plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.figures import SECONDS, Line, Samples, Unit, at_most
from benchmarks.processes import CHILD, timed

SIZES = (2_000, 10_000, 100_000)
_PAGE = 2_000
_PERCENT = Unit("%", 100.0, 1)
T = TypeVar("T")


def measure(list_seconds_per_pod: float | None, sizes: tuple[int, ...] = SIZES) -> list[Line]:
    """Each size in a process of its own. ``list_seconds_per_pod`` is what curl needed on the real control plane."""
    found = {size: timed([*CHILD, "offline", str(size)]).json for size in sizes}
    lines: list[Line] = []
    for size, figures in found.items():
        lines += _lines(size, figures, list_seconds_per_pod, largest=size == max(sizes))
    smallest, largest = min(sizes), max(sizes)
    if smallest < largest:
        growth = _per_pod(found[largest], largest) / _per_pod(found[smallest], smallest)
        text = f"{growth:.2f}"
        what = f"offline, growth: time per pod at {largest:,} against {smallest:,}"
        lines.append(Line(what, _micros(found[largest], largest), _micros(found[smallest], smallest), text,
                          at_most(1.5), growth))  # fmt: skip
    return lines


def _lines(size: int, figures: dict[str, Any], per_pod: float | None, *, largest: bool) -> list[Line]:
    proof = figures["proof"] + figures["proof_back"]
    listing = (per_pod or 0.0) * size
    total = listing + figures["total"]
    parts = ", ".join(f"{name.replace('_', ' ')} {figures[name]:.2f}" for name in PARTS)
    share = proof / total
    estimate = f"{listing:.2f} s listing (estimate) + " if per_pod else ""
    return [
        Line(f"offline, {size:,} pods: plan without the lists", f"{figures['total']:.2f} s", note=parts, raw=figures),
        Line(
            "  both proofs of it, against the whole plan",
            str(Samples((proof,), SECONDS)),
            f"{estimate}{figures['total']:.2f} s",
            f"{share:.1%}",
            at_most(10, "%") if largest else None,
            share * 100,
        ),
        Line(
            "  peak memory",
            f"{figures['peak_mb']:.0f} MB ({figures['snapshot_mb']:.0f} after listing)",
            budget=at_most(400, "MB") if largest else None,
            judged=figures["peak_mb"],
        ),
    ]


PARTS = ("decode", "planning", "proof", "way_back", "proof_back", "text")


def _per_pod(figures: dict[str, Any], size: int) -> float:
    return float(figures["total"]) / size


def _micros(figures: dict[str, Any], size: int) -> str:
    return f"{_per_pod(figures, size) * 1e6:.0f} µs/pod"


def figures(pods: int) -> dict[str, Any]:
    """Runs in the child. ``total`` is what ``gatekeep plan`` does between the lists and its exit."""

    import msgspec

    from benchmarks import synthetic
    from gatekeep.model.policy import LocatedPolicy, Position, TrafficGate
    from gatekeep.operations.plan import plan_gates
    from gatekeep.operations.way_back import way_back
    from gatekeep.proof.verify import final_snapshot, prove
    from gatekeep.render.style import Style
    from gatekeep.render.text import plan_text

    located = [
        LocatedPolicy(msgspec.convert(document, TrafficGate), Position("web.yaml", 1, 1), "sha256:0")
        for document in synthetic.policies()
    ]
    snapshot, decode = synthetic.listed(pods)
    snapshot_mb = _memory("VmRSS")
    plan, whole = _timed(lambda: plan_gates(located, snapshot))
    text, rendering = _timed(lambda: plan_text(plan, Style()))
    peak = _memory("VmHWM")
    if not plan.proof.holds or len(plan.steps) < 2 or not text:
        raise RuntimeError(f"the plan is not what is meant to be measured: {plan.proof}")
    # The parts once more, each alone; the memory was read before.
    _, proof = _timed(lambda: prove(plan, snapshot))
    end, simulated = _timed(lambda: final_snapshot(plan, snapshot))
    back, drafted = _timed(lambda: way_back(plan, snapshot, end))
    _, proof_back = _timed(lambda: prove(back, end))
    return {
        "pods": pods,
        "decode": decode,
        "planning": max(0.0, whole - proof - simulated - drafted - proof_back),
        "proof": proof,
        "way_back": simulated + drafted,
        "proof_back": proof_back,
        "text": rendering,
        "total": decode + whole + rendering,
        "snapshot_mb": snapshot_mb,
        "peak_mb": peak,
        "states": plan.proof.states,
    }


def _timed(what: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    found = what()
    return found, time.process_time() - start


def _memory(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    return 0.0
