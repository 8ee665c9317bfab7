"""The commands and what each is for, in one sentence. ``gatekeep --help`` reads this and imports no command."""

from __future__ import annotations

SUMMARIES = {
    "lint": "Check policies and manifests, offline.",
    "plan": "Show what applying the policies will do to traffic; writes nothing.",
    "diff": "Show the fields that will change, with the habits of kubectl diff.",
    "show": "Print a saved plan in any format.",
    "verify": "Prove a saved plan again and say whether it is still fresh.",
    "apply": "Apply a saved plan, or plan, show and ask.",
    "promote": "Go on from a pause, start an aborted run again, or let held pods in.",
    "abort": "Take a canary out, or go back to the former colour.",
    "undo": "Go back to where a run began, by default the last one.",
    "reconcile": "Apply without ever asking, gate by gate, for CI jobs and CronJobs.",
    "retire": "Take a gate off again, with no traffic lost.",
    "status": "Show the gates of the cluster and how they stand.",
    "history": "Show the last runs of the gates, newest first.",
    "snapshot": "Write the cluster state that plans are made from, for use offline.",
    "demo": "Plan, prove, apply and retire a gate on a cluster in this process.",
    "schema": "Print the JSON Schema of policy documents.",
    "completion": "Print the completion script of a shell.",
}

_HELP = """\
Usage: {program} COMMAND [OPTIONS]

  Gate the traffic of Kubernetes Services: see what will happen to it, lose
  nothing while it happens, take it back.

  Try it:  {program} demo

Commands:
{commands}

Options:
  --version   Show the version and exit.
  -h, --help  Show this message, or that of a command, and exit.

Exit codes:
  0    done, or nothing to do
  1    diff: differences; lint: errors found; else a general error
  2    with --detailed-exitcode: changes pending or applied, or at a pause
  3    refused: stale plan, wrong cluster, or not as the policy needs it
  4    refused: the proof fails or a floor would break; or a check failed
  5    every step written, but the last wait was not met in time
  6    steps are left; the message says how to go on or back
  64   usage, or no terminal to ask on and no -y
  65   invalid policy, snapshot or plan
  69   the API server cannot be reached
  70   a bug in gatekeep
  75   another run holds the lock
  77   forbidden or unauthorized
  130  interrupted before the first write (143: terminated)
"""


def help_text(program: str) -> str:
    """What ``gatekeep --help`` prints; it fits 80 columns."""
    commands = "\n".join(f"  {name:<10}{sentence}" for name, sentence in SUMMARIES.items())
    return _HELP.format(program=program, commands=commands)
