"""Policy and snapshot in, desired rotation out: *what* should hold, never *when* or in which order."""
