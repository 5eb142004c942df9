"""Causal tracing, the first method: a run of `moesweep trace`, and its report."""
