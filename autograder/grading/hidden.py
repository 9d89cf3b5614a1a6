"""The class's hidden seed: from it come the cases that students have not seen."""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from autograder.errors import Refused

VARIABLE = "AUTOGRADER_HIDDEN_SEED"


def seed(root: Path) -> int:
    """The seed for the class in `root`, positive, below 2**63.

    It is the environment variable AUTOGRADER_HIDDEN_SEED, or the number in class/hidden-seed, which
    is drawn once and then kept: grading again gives the same marks. Raises Refused.
    """
    if given := os.environ.get(VARIABLE):
        return _number(given, f"the environment variable {VARIABLE}", "Set it to a whole number.")
    path = root / "class" / "hidden-seed"
    try:
        if not path.exists():
            _draw(path)
    except OSError as error:
        raise Refused(
            f"The hidden seed cannot be kept in {path}: {error.strerror}. "
            f"Run this from the course's root, or set {VARIABLE}."
        ) from None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"The hidden seed cannot be read from {path}: {error}.") from None
    mend = "Put the class's number back, or remove the file: then a new one is drawn."
    return _number(text, str(path), mend)


def _draw(path: Path) -> None:
    """Write a new seed, whole or not at all; where another process was faster, its seed stays."""
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix="hidden-seed-") as file:
        file.write(f"{1 + secrets.randbelow(2**53)}\n")
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)


def _number(text: str, where: str, mend: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 0 < number < 2**63:
        raise Refused(f"The hidden seed in {where} is no positive whole number. {mend}")
    return number
