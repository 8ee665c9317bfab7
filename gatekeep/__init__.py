"""gatekeep: declarative traffic gating for plain Kubernetes Services, with plans that are proved before they run."""

__version__ = "0.1.0"
