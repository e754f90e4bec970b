"""Segue writes the music that is missing."""

__version__ = "0.1.0"
