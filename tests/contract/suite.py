"""The contract of ``Cluster``: what every implementation must answer, the embedded one and a real API server alike.

A case is a function of a :class:`Site`. To run the suite on another cluster, make a ``site`` fixture and one test::

    @pytest.mark.parametrize("case", CASES)
    def test_contract(case: str, site: Site) -> None:
        CASES[case](site)
"""

from __future__ import annotations

from tests.contract import (
    admission_cases,
    object_cases,
    patch_cases,
    release_cases,
    rollout_cases,
    slice_cases,
    surplus_cases,
    workload_cases,
)
from tests.contract.site import Case, Site

CASES: dict[str, Case] = {
    **patch_cases.CASES,
    **object_cases.CASES,
    **slice_cases.CASES,
    **workload_cases.CASES,
    **rollout_cases.CASES,
    **admission_cases.CASES,
    **release_cases.CASES,
    **surplus_cases.CASES,
}

__all__ = ["CASES", "Case", "Site"]
