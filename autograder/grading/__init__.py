"""The instructor's side: live references, the judge, nbgrader's preprocessors, a sample class."""

from autograder.errors import Refused

__all__ = ["Refused"]
