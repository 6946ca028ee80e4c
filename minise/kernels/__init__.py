"""Faster replacements for reference kernels, registered by name with `minise.backend`."""
