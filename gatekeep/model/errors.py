"""What can go wrong, each with the exit code that the contract gives it.

A message says what was expected, what was found, where, and what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class GatekeepError(Exception):
    """Base of every expected failure.

    ``where`` is ``file:line:column`` or ``Kind namespace/name``; ``hint`` says what to do next. Both may be empty.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  → {self.hint}" if self.hint else head


class RefusedError(GatekeepError):
    """Stale plan, failed precondition, wrong cluster, or a cluster that is not as the policy needs it."""

    exit_code = 3


class UnsafeError(GatekeepError):
    """The proof fails, or a floor would break."""

    exit_code = 4


class CheckFailedError(GatekeepError):
    """A check of a canary failed, and the run was aborted."""

    exit_code = 4


class NotSettledError(GatekeepError):
    """Every step is written; the last wait was not met in time."""

    exit_code = 5


class IncompleteError(GatekeepError):
    """Steps are left. The hint holds the command that continues or goes back."""

    exit_code = 6


class UsageError(GatekeepError):
    """A command line that cannot be carried out as given."""

    exit_code = 64


class InvalidInputError(GatekeepError):
    """An invalid policy, snapshot or plan document."""

    exit_code = 65


class UnreachableError(GatekeepError):
    """The API server does not answer."""

    exit_code = 69


class LockHeldError(GatekeepError):
    """Another run holds the gate's Lease."""

    exit_code = 75


class ForbiddenError(GatekeepError):
    """The API server refuses the identity; the message names the verb."""

    exit_code = 77


class SignalledError(GatekeepError):
    """A signal came before the first write. The exit code is 130 (SIGINT) or 143 (SIGTERM)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted before the first write; nothing was changed")
        self.signal_number = signal_number

    @property
    def signal_exit_code(self) -> int:
        """128 plus the signal's number, as shells report it."""
        return 128 + self.signal_number


class PatchRejectedError(GatekeepError):
    """The patch does not apply: a ``test`` failed or a path is missing (HTTP 422), or the object changed (409)."""

    exit_code = 3


class NotFoundError(GatekeepError):
    """The object does not exist (HTTP 404)."""

    exit_code = 3


class AlreadyExistsError(GatekeepError):
    """An object of that name exists already (HTTP 409 on create)."""

    exit_code = 3
