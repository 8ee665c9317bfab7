"""``gatekeep diff``: the habits of ``kubectl diff``, exit codes and external diff programs included."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, SourceFlags
from gatekeep.model.errors import GatekeepError

if TYPE_CHECKING:
    from gatekeep.render.unified import FileDiff

DEFAULT_PROGRAM = "diff -u -N"
DIFFERENCES = 1


class TroubleError(GatekeepError):
    """No verdict: 1 would say that there are differences."""

    exit_code = 2


@options.command(
    "diff",
    "gatekeep diff -f policies",
    'KUBECTL_EXTERNAL_DIFF="dyff between --set-exit-code" gatekeep diff',
    notes="Exit codes: 0 no differences, 1 differences, more than 1 trouble.",
)
@options.policy_options
@options.snapshot_option
@options.cluster_options
def command(access: ClusterFlags, policies: SourceFlags, snapshot_file: str | None) -> int:
    """Writes both sides to folders and lets a diff program compare them."""
    from gatekeep.cli import planned, session
    from gatekeep.cli.failures import say
    from gatekeep.render.unified import file_diffs

    try:
        loaded = session.policies(policies.filenames)
        view = session.look(access, snapshot_file, session.namespaces_of(loaded, policies.namespace))
        plan = planned.plan_policies(loaded, view.snapshot, policies)
        files = file_diffs(plan, view.snapshot)
        code = compare(files, os.environ.get("KUBECTL_EXTERNAL_DIFF") or DEFAULT_PROGRAM) if files else 0
    except OSError as error:
        raise TroubleError(f"no diff could be made: {error}") from error
    if not plan.proof.holds:
        say("warning", f"apply will refuse this: {plan.proof.counter_example}", "see: gatekeep plan")
    return code


def compare(files: Sequence[FileDiff], program: str) -> int:
    """Runs the diff program on the folders ``LIVE-…`` and ``MERGED-…``; its output is the command's output."""
    import shlex
    import signal
    import subprocess
    import tempfile

    try:
        words = shlex.split(program)
    except ValueError as error:
        raise TroubleError(f"KUBECTL_EXTERNAL_DIFF is no command line: {error}") from error
    with tempfile.TemporaryDirectory(prefix="LIVE-") as live, tempfile.TemporaryDirectory(prefix="MERGED-") as merged:
        for file in files:
            _write(Path(live, file.name), file.live)
            _write(Path(merged, file.name), file.merged)
        try:
            result = subprocess.run([*words, live, merged], check=False)
        except FileNotFoundError as error:
            hint = "install it, or name another in KUBECTL_EXTERNAL_DIFF"
            raise TroubleError(f"cannot run the diff program {words[0]!r}", hint=hint) from error
    if result.returncode == -signal.SIGPIPE:  # whoever read the diff has seen enough
        return DIFFERENCES
    if result.returncode not in (0, DIFFERENCES):
        raise TroubleError(f"the diff program failed with exit code {result.returncode}: {program}")
    return result.returncode


def _write(path: Path, text: str) -> None:
    """An object that does not exist has no file: ``-N`` makes that a difference of its own."""
    if text:
        path.write_text(text, encoding="utf-8")
