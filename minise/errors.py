"""The errors a user can cause: each message is one line that says what was wrong, found and expected."""


class MiniseError(Exception):
    """Base of every error that is the input's fault; the command line prints it and exits with 1."""


class ShapeError(MiniseError, ValueError):
    """Arrays whose shapes or dtypes do not fit the op they were given to."""


class ConfigError(MiniseError, ValueError):
    """An option or a configuration value that cannot be used; the command line exits with 2."""


class DataError(MiniseError):
    """A data set that is missing, incomplete, corrupt or not what its name says."""


class RunError(MiniseError):
    """A run folder that cannot be written, read or evaluated."""


class BusyError(RunError):
    """A run folder that another process works on."""
