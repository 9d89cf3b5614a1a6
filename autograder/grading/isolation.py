"""Whether submissions run isolated here; where they cannot, nobody grades without having said so."""

import os

from autograder.errors import Refused
from autograder.grading.sandbox.provisioner import no_isolation

VARIABLE = "AUTOGRADER_NO_ISOLATION"
LOUD = (
    "NOT ISOLATED: students' code runs with your rights, and can read and change all that you can"
)


def on() -> bool:
    """Whether submissions run in jails. Raises Refused where they cannot, unless it is asked for."""
    why = no_isolation()
    if why and not os.environ.get(VARIABLE):
        raise Refused(
            f"Submissions cannot be isolated on this machine: {why}. Set {VARIABLE}=1 to grade all the "
            "same: then students' code runs with your rights, and can read and change all that you can."
        )
    return not why


def warning() -> str:
    """What to say, loudly and once, before grading; "" where submissions are isolated."""
    return "" if on() else f"{LOUD} ({no_isolation()})."
