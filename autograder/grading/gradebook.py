"""nbgrader's gradebook, patient: a lock is waited for, and a lasting one is told in one sentence."""

import sqlite3

from sqlalchemy import Engine, event

from autograder.errors import Refused

PATIENCE = 15_000  # milliseconds
LOCKED = (
    "The gradebook is locked by another nbgrader, formgrader or backup. "
    "Nothing is lost: end that, or wait, and run this again."
)


def be_patient() -> None:
    """Let every connection to SQLite wait for locks, and say plainly when that was in vain."""
    if not event.contains(Engine, "connect", _wait):
        event.listen(Engine, "connect", _wait)
        event.listen(Engine, "handle_error", _tell)


def _wait(connection, _record) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")


def _tell(context) -> None:
    if "database is locked" in str(context.original_exception):
        raise Refused(LOCKED)
