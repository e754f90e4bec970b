"""The exception tree of Segue.

Every message says three things: what happened, what was given, what to do about it.
The command line turns any :class:`SegueError` into one paragraph and exit status 2.
"""


class SegueError(Exception):
    """Root of everything that Segue raises on purpose."""


class SettingError(SegueError):
    """A setting, argument or option is unknown, out of range or contradicts another."""


class DataError(SegueError):
    """A file or folder that was given cannot be used as music."""


class BundleError(SegueError):
    """A model bundle is missing, damaged, or not of the kind that the task needs."""


class MissingExtraError(SegueError):
    """An optional dependency is needed; the message names the extra that brings it."""
