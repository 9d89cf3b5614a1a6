"""nbgrader's gradebook, patient: a lock is waited for, and trouble is told in one sentence."""

import sqlite3
from pathlib import Path

from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

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


def file_of(url: str) -> Path | None:
    """The file of a gradebook in SQLite, there or not yet; None for any other database.

    Raises Refused where the URL is none, or asks for a driver that is not installed.
    """
    found = _parsed(url)
    if found.get_backend_name() != "sqlite" or (found.database or "").startswith("file:"):
        return None
    return Path(found.database or ":memory:")


def shown(url: str) -> str:
    """A gradebook's URL as it may be printed: without its password, wherever that stands."""
    found = _parsed(url)
    secret = {name: "***" for name in found.query if "pass" in name.lower()}
    found = found.update_query_dict(secret)
    return found.render_as_string(hide_password=True).replace("%2A", "*")


def trouble(url: str, error: SQLAlchemyError) -> str:
    """What a gradebook's database says, and what to do about it, in one line without a password."""
    texts = (str(getattr(error, "orig", None) or ""), str(error), type(error).__name__)
    said = next(text for text in map(str.strip, texts) if text).splitlines()[0].rstrip(".")
    if "locked" in said:
        return (
            f"The gradebook {shown(url)} is locked: another nbgrader, formgrader or backup is "
            "writing to it. Nothing is lost; wait for it or end it, and try again."
        )
    return (
        f"The gradebook {shown(url)} cannot be used: {said}. "
        "Mend that, or restore a backup, and run the same command again."
    )


def _parsed(url: str) -> URL:
    """Its parts. What is no URL is not repeated: a password may stand anywhere in it."""
    try:
        found = make_url(url)
        found.get_dialect().import_dbapi()
    except ImportError as error:
        raise Refused(
            f"The gradebook's URL asks for {error.name}, which is not installed. "
            "For PostgreSQL it begins with postgresql+psycopg://."
        ) from None
    except (SQLAlchemyError, ValueError):
        found = None
    if found is None or "@" in (found.host or ""):
        raise Refused(
            "The gradebook's URL (AUTOGRADER_DB_URL, or db_url in nbgrader_config.py) is none: "
            "DIALECT://USER:PASSWORD@HOST/NAME. Write an @ in the password as %40."
        )
    return found
