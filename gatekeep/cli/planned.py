"""What ``plan``, ``diff``, ``apply`` and ``retire`` share: from flags to a plan, and showing it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatekeep.cli.failures import say, usage
from gatekeep.cli.options import ClusterFlags, OutputFlags, SourceFlags
from gatekeep.cli.output import emit, style_of
from gatekeep.model.durations import timestamp
from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import Plan
from gatekeep.model.record import GateName
from gatekeep.model.waits import DEFAULT_TIMEOUT_SECONDS, CheckWait
from gatekeep.render.formats import View, plan_as
from gatekeep.render.layout import counted
from gatekeep.render.text import short_id

if TYPE_CHECKING:
    from gatekeep.model.snapshot import Snapshot
    from gatekeep.sources.repository import Repository

_WHICH_CLUSTER = {
    "kubeconfig": "--kubeconfig",
    "context": "--context",
    "cluster": "--cluster",
    "user": "--user",
    "server": "--server",
    "as_user": "--as",
}
CHANGES = 2
REFUSED = 4


def plan_policies(
    loaded: Repository,
    snapshot: Snapshot,
    flags: SourceFlags,
    timeout: int = DEFAULT_TIMEOUT_SECONDS,
    *,
    expires_at: str | None = None,
    prune: bool = False,
    elsewhere: Collection[GateName] = (),
) -> Plan:
    """The plan for everything that the flags select."""
    from gatekeep.operations.plan import plan_gates

    try:
        return plan_gates(
            [item for item in loaded.policies if flags.namespace in (None, item.policy.namespace)],
            snapshot,
            timeout_seconds=timeout,
            revision=flags.revision,
            repository=without_credentials(flags.repository),
            findings=loaded.findings,
            manifests=loaded.manifests,
            expires_at=expires_at,
            prune=prune,
            elsewhere=elsewhere,
            complete=all(Path(name).is_dir() for name in flags.filenames),
        )
    except RefusedError as error:
        raise RefusedError(error.message, where=_openable(error.where, loaded), hint=error.hint) from error


def _openable(where: str, loaded: Repository) -> str:
    """``where`` with the file as it can be opened from here; a plan's own positions are relative to its folder."""
    for located, place in zip(loaded.policies, loaded.places, strict=True):
        lasting = str(located.position)
        if where == lasting or where.startswith(f"{lasting}:"):
            return f"{place}{where[len(lasting) :]}"
    return where


def without_credentials(url: str | None) -> str | None:
    """``https://user:token@host/path`` without what stands before the host: a plan is passed around."""
    if url is None or "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def expiry(now: datetime, seconds: int | None) -> str | None:
    """When a plan made ``now`` expires."""
    return timestamp(now + timedelta(seconds=seconds)) if seconds is not None else None


def show(
    plan: Plan, output: OutputFlags, access: ClusterFlags | None = None, *, next_step: str = "", proved: bool = True
) -> None:
    """The plan in the format and place asked for; commands in it are for the cluster of ``access``."""
    if output.format == "patches":
        write_patches(plan, output)
        return
    if output.path and os.path.isdir(output.path):
        raise usage(f"--out {output.path} is a folder, and -o {output.format} writes a file", "name a file")
    view = View(style_of(output), commands(access), proved, next_step)
    emit(plan_as(output.format, plan, view), output)


def write_patches(plan: Plan, output: OutputFlags) -> None:
    """The folder of ``-o patches``."""
    from gatekeep.cli.folder import write_folder
    from gatekeep.render.patch_files import patch_files

    if not output.path or output.path == "-":
        raise usage("-o patches writes a folder, and none was named", "say --out DIR")
    files = patch_files(plan)
    write_folder(output.path, files)
    say("note", f"{counted(len(files), 'file')} written to {output.path}", f"{output.path}/README.txt says the order")


def verdict(plan: Plan, output: OutputFlags, *, detailed: bool) -> int:
    """The exit code of a command that shows a plan and stops."""
    if not plan.proof.holds:
        if output.format != "text" or output.path:
            say("error", f"the plan is refused: {plan.proof.counter_example}", "nothing was written")
        return REFUSED
    if plan.writes and detailed:
        say("note", f"changes pending (exit {CHANGES})")
        return CHANGES
    return 0


def gate_name(text: str, namespace: str | None) -> GateName:
    """``NAME`` with -n, or ``NAMESPACE/NAME``."""
    first, slash, rest = text.partition("/")
    if slash and (not first or not rest or "/" in rest):
        raise usage(f"expected NAME or NAMESPACE/NAME, found {text!r}")
    if slash and namespace not in (None, first):
        raise usage(f"the gate {text} is not in namespace {namespace}", "leave out one of the two")
    if slash:
        return GateName(first, rest)
    if namespace is None:
        raise usage(f"in which namespace is the gate {text}?", f"say -n NAMESPACE, or NAMESPACE/{text}")
    return GateName(namespace, text)


def say_written(plan: Plan, path: str, next_step: str) -> None:
    """What a person who saved a plan wants to know."""
    if not plan.proof.holds:
        return
    outline = f"{counted(len(plan.steps), 'step')}, proved" if plan.writes else "nothing to do"
    say("note", f"plan {short_id(plan.id)} written to {path}: {outline}", next_step)


def apply_command(policies: SourceFlags, access: ClusterFlags, output: OutputFlags) -> str:
    """What to run next, ready to be copied: the same policies or the saved plan, on the same cluster."""
    words = ["gatekeep", "apply"]
    if output.format == "json" and output.path:
        words.append(output.path)
    else:
        if policies.filenames != ("policies",):
            words.extend(word for name in policies.filenames for word in ("-f", name))
        if policies.namespace:
            words.extend(["-n", policies.namespace])
    return shlex.join([*words, *_cluster_words(access)])


def command_for(verb: str, what: str, access: ClusterFlags | None) -> str:
    """The command of that name for a gate or a run, on the cluster of ``access``, ready to be copied."""
    return shlex.join(["gatekeep", verb, what, *_cluster_words(access or ClusterFlags())])


def asks(plan: Plan) -> bool:
    """Carrying out ``plan`` needs the address of a Prometheus, which no variable gives."""
    return needs_address() and any(isinstance(step.wait, CheckWait) for step in plan.steps)


def needs_address() -> bool:
    """A command that comes to a check has to name the Prometheus to ask."""
    return not os.environ.get("GATEKEEP_PROMETHEUS")


def commands(access: ClusterFlags | None) -> Callable[[str, str], str]:
    """:func:`command_for` for the cluster of ``access``."""
    return lambda verb, what: command_for(verb, what, access)


def _cluster_words(access: ClusterFlags) -> list[str]:
    words = [
        word for name, flag in _WHICH_CLUSTER.items() if (value := getattr(access, name)) for word in (flag, value)
    ]
    words.extend(word for group in access.as_groups for word in ("--as-group", group))
    return words
