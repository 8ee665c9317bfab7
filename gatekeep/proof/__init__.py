"""Shows that every state a plan can reach keeps the invariants. Shares no code with strategies or planning."""
