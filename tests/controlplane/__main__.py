"""`python -m tests.controlplane build` and `python -m tests.controlplane run -- COMMAND`."""

from __future__ import annotations

import argparse
import sys

from . import build, namespace
from .packages import ensure_packages
from .paths import ControlPlaneError


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="build the programs once, print their folder")
    builder.add_argument("--version", help=f"Kubernetes minor, one of {', '.join(build.known_versions())}")
    runner = commands.add_parser("run", help="run a command in a closed network namespace")
    runner.add_argument("rest", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    inner = commands.add_parser("inside", help="the first process in the namespace (used by run)")
    inner.add_argument("rest", nargs=argparse.REMAINDER)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Return the exit status."""
    arguments = _arguments(argv)
    try:
        if arguments.command == "build":
            ensure_packages()
            print(build.build(arguments.version).folder)
            return 0
        command: list[str] = arguments.rest[1:] if arguments.rest[:1] == ["--"] else arguments.rest
        if not command:
            raise ControlPlaneError("no command given after --")
        if arguments.command == "inside":
            return namespace.inside(command)
        ensure_packages()
        build.build()
        return namespace.enter(command)
    except ControlPlaneError as error:
        print(f"control plane: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
