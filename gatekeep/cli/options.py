"""Options that several commands share, with kubectl's own names where kubectl has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from gatekeep.cli.catalog import SUMMARIES
from gatekeep.cli.durations import duration, duration_or_zero, time, wait_limit

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class ClusterFlags(NamedTuple):
    """Which cluster, and as whom: kubectl's flags."""

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    server: str | None = None
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    request_timeout: float | None = None


class OutputFlags(NamedTuple):
    """The format, and the file it goes to (None: stdout)."""

    format: str = "text"
    path: str | None = None


class SourceFlags(NamedTuple):
    """Which policies, and what the plan says of their origin."""

    filenames: tuple[str, ...] = ("policies",)
    namespace: str | None = None
    repository: str | None = None
    revision: str | None = None


class WriteFlags(NamedTuple):
    """How a command that writes goes about it."""

    dry_run: bool = False
    yes: bool = False
    detailed: bool = False
    lock_timeout: int = 60


def command(name: str, *examples: str, notes: str = "") -> Callable[[Callable[..., int]], click.Command]:
    """A command with its sentence from the catalog and a line for each example."""
    listing = "\n".join(["\b", "Examples:" if len(examples) > 1 else "Example:", *(f"  {item}" for item in examples)])
    text = "\n\n".join(part for part in (SUMMARIES[name], notes, listing) if part)
    return click.command(name=name, help=text, short_help=SUMMARIES[name])


def gathered(name: str, kind: Callable[..., Any], options: tuple[Decorator, ...]) -> Decorator:
    """``options`` as one argument ``name``; ``kind``'s fields are the options' names."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **values: Any) -> Any:
            values[name] = kind(**{field: values.pop(f"{name}_{field}") for field in fields})
            return function(*args, **values)

        wrapped: Callable[..., Any] = call
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


cluster_options = gathered(
    "access",
    ClusterFlags,
    (
        click.option("--kubeconfig", "access_kubeconfig", metavar="FILE", help="Path of the kubeconfig file."),
        click.option("--context", "access_context", metavar="NAME", help="The kubeconfig context to use."),
        click.option("--cluster", "access_cluster", metavar="NAME", help="The kubeconfig cluster to use."),
        click.option("--user", "access_user", metavar="NAME", help="The kubeconfig user to use."),
        click.option("--server", "-s", "access_server", metavar="URL", help="Address of the API server."),
        click.option("--as", "access_as_user", metavar="USER", help="User to impersonate."),
        click.option("--as-group", "access_as_groups", metavar="GROUP", multiple=True, help="Group to impersonate."),
        click.option(
            "--request-timeout",
            "access_request_timeout",
            type=duration_or_zero,
            metavar="DURATION",
            help="Limit for each silence of the API server; 0 waits for ever.",
        ),
    ),
)

PLAN_FORMATS = ("text", "json", "markdown", "html", "patches", "script")
"""The views of a plan; what a command that writes reports is text or json."""


def _output_options(formats: tuple[str, ...], out: Decorator) -> Decorator:
    kind = click.Choice(formats)
    output = click.option("--output", "-o", "output_format", type=kind, default="text", help="Format.")
    return gathered("output", OutputFlags, (output, out))


output_options = _output_options(
    ("text", "json"),
    click.option(
        "--out", "output_path", metavar="FILE", type=click.Path(dir_okay=False), help="Write there, not to stdout."
    ),
)
plan_output_options = _output_options(
    PLAN_FORMATS,
    click.option(
        "--out",
        "output_path",
        metavar="FILE",
        type=click.Path(),
        help="Write there, not to stdout; with -o patches a folder.",
    ),
)


def _filename(name: str) -> Decorator:
    return click.option(
        "--filename",
        "-f",
        name,
        metavar="PATH",
        multiple=True,
        default=("policies",),
        show_default=True,
        help="Policies: a file, a folder or - for stdin; repeatable.",
    )


filename_option = _filename("filenames")
policy_options = gathered(
    "policies",
    SourceFlags,
    (
        _filename("policies_filenames"),
        click.option("--namespace", "-n", "policies_namespace", metavar="NAME", help="Only this namespace."),
        click.option("--repository", "policies_repository", metavar="URL", help="Where the policies come from."),
        click.option("--revision", "policies_revision", metavar="REV", help="The policies' Git revision."),
    ),
)

detailed_option = click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes, pending or applied."
)
prune_option = click.option(
    "--prune", is_flag=True, help="Retire the gates of this --repository whose policy is gone; looks in all namespaces."
)
lock_timeout_option = click.option(
    "--lock-timeout", type=duration, metavar="DURATION", default="1m", show_default=True, help="Limit for the lock."
)
write_options = gathered(
    "writing",
    WriteFlags,
    (
        click.option("--dry-run", "writing_dry_run", is_flag=True, help="Show the plan and stop."),
        click.option("--yes", "-y", "writing_yes", is_flag=True, help="Do not ask."),
        click.option(
            "--detailed-exitcode", "writing_detailed", is_flag=True, help="Exit with 2 when something was applied."
        ),
        click.option(
            "--lock-timeout",
            "writing_lock_timeout",
            type=duration,
            metavar="DURATION",
            default="1m",
            show_default=True,
            help="Limit for the lock.",
        ),
    ),
)

snapshot_option = click.option(
    "--snapshot",
    "snapshot_file",
    metavar="FILE",
    help="Cluster state from this file (gatekeep snapshot, kubectl get -o json), not from the cluster.",
)
dry_snapshot_option = click.option(
    "--snapshot", "snapshot_file", metavar="FILE", help="With --dry-run: cluster state from this file."
)
gate_namespace_option = click.option("--namespace", "-n", metavar="NAME", help="The namespace of GATE.")
namespace_option = click.option("--namespace", "-n", metavar="NAME", help="Only this namespace.")
timeout_option = click.option(
    "--timeout",
    type=wait_limit,
    metavar="DURATION",
    default="5m",
    show_default=True,
    help="Limit for each wait, at most a day.",
)
now_option = click.option(
    "--now", type=time, metavar="TIME", help="Take this for the current time; only with --snapshot."
)
prometheus_option = click.option(
    "--prometheus",
    metavar="URL",
    envvar="GATEKEEP_PROMETHEUS",
    show_envvar=True,
    help="Prometheus that a canary's checks ask.",
)
out_option = click.option("--out", metavar="FILE", type=click.Path(dir_okay=False), help="Write there, not to stdout.")
