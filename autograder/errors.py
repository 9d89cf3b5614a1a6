"""What bad input raises; the command prints it as one line."""


class Refused(Exception):
    """What was asked cannot be done; the message says what, where, and how to mend it."""
