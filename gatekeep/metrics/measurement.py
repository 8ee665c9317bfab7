"""What a query was answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from gatekeep.model.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Measurement:
    """The numbers of an answer, one for each series, infinite ones included.

    ``missing`` says why there are none, or that some series had none (NaN); empty when each series has its number.
    """

    values: tuple[Decimal, ...] = ()
    missing: str = ""


Measure = Callable[[str], Measurement]
"""Asks a query. No answer is a :class:`Measurement` without values; raises :class:`BadQueryError`."""


class BadQueryError(InvalidInputError):
    """A query that will never be answered: its syntax is wrong, or its result is no vector and no scalar."""
