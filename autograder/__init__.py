"""The course's autograder: it asks a student's function, compares the answers, and explains.

``from autograder import check`` is all that a notebook needs. Importing this package imports neither
torch nor matplotlib, and no module that ``check`` needs imports the answers.
"""

from autograder.check import check

__version__ = "0.1.0"
__all__ = ["check"]
