"""Carries out verified plans: locks, writes, takes the barriers seriously, and stops at the first surprise."""
