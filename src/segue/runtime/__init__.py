"""Bundles and the backends that run them."""
