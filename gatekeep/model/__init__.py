"""Words and data, frozen: what every other room talks about. No I/O, no clock, no randomness."""
