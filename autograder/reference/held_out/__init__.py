"""The words that graded models are asked, and how they sound: 10,000 from which each class draws its own.

From the same dictionary as `autograder.lexicon`, under the same licence: `LICENSE` in this folder. No
other file of the course has these words, nor others with the same stem, as far as endings tell.
"""

from functools import cache
from pathlib import Path

from autograder.lexicon import _entries


@cache
def entries() -> dict[str, tuple[tuple[str, ...], ...]]:
    """All ways to say each word, the usual one first."""
    return _entries(Path(__file__).parent / "words.txt")
