"""Composition roots, one per process: the only modules that build concrete things."""
