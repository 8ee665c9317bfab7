"""Where documents come from: policy files and cluster dumps, read as untrusted input."""
