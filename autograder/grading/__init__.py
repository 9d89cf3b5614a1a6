"""The instructor's side: live references, the judge, nbgrader's preprocessors, a sample class."""

import sys

from autograder.errors import Refused

# jsonschema would load a grammar of internationalised addresses, which takes a second, and which no
# notebook needs: for jsonschema it is as if that optional package were not installed.
sys.modules.setdefault("rfc3987_syntax", None)

__all__ = ["Refused"]
