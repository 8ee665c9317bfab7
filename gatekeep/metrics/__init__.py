"""The only door to metrics: one query in, what was measured out."""
