"""Read what a student handed in, whatever it is, into cells that hold nothing but text."""

import errno
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 20_000_000
MAX_CELLS = 1_000
MAX_SOURCE = 200_000  # characters in one cell
MEND = "Open it in Jupyter, run it from top to bottom, save it, and hand in that file."

PICTURES = ("image/png", "image/jpeg", "image/gif")

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*+=*+\s*+")  # whatever it is, it is looked through once
_GRADE_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


class NoNotebook(Exception):
    """The file is no notebook that can be graded; the message tells the student why."""


@dataclass(frozen=True)
class Cell:
    """One cell of a submission. `grade_id` is what the file claims, or the empty string."""

    kind: str
    source: str
    grade_id: str = ""
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)


def read(path: Path) -> list[Cell]:
    """The cells of a submitted notebook, in its order. Raises NoNotebook.

    Outputs, tags, metadata and kernel are not even looked at: nothing there is the student's answer.
    """
    data = _load(path)
    sheets = data.get("worksheets")  # notebooks of format 3
    cells = data.get("cells")
    if cells is None and isinstance(sheets, list):
        parts = [sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and "cells" in sheet]
        if parts and all(isinstance(part, list) for part in parts):
            cells = [cell for part in parts for cell in part]
    if not isinstance(cells, list):
        raise NoNotebook(f"`{path.name}` is JSON, but no notebook: it has no list of cells. {MEND}")
    if len(cells) > MAX_CELLS:
        raise NoNotebook(
            f"`{path.name}` has {len(cells)} cells; at most {MAX_CELLS} are graded. "
            "Take out what does not belong to the exercises."
        )
    return [_cell(cell, number, path.name) for number, cell in enumerate(cells, 1)]


def _load(path: Path) -> dict:
    try:
        status = path.lstat()
    except OSError as error:
        raise NoNotebook(f"`{path.name}` cannot be read: {error.strerror}.") from None
    if not stat.S_ISREG(status.st_mode):
        raise NoNotebook(f"`{path.name}` is no file, but a folder or a link. {MEND}")
    if status.st_size == 0:
        raise NoNotebook(f"`{path.name}` is empty. {MEND}")
    if status.st_size > MAX_BYTES:
        raise NoNotebook(
            f"`{path.name}` has {status.st_size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are "
            "graded. Clear all outputs (menu Edit), save it, and hand it in again."
        )
    try:
        data = json.loads(read_bytes(path, MAX_BYTES + 1).decode("utf-8-sig"))
    except OSError as error:
        raise NoNotebook(f"`{path.name}` cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise NoNotebook(f"`{path.name}` is no text in UTF-8, so no notebook. {MEND}") from None
    except json.JSONDecodeError as error:
        raise NoNotebook(
            f"`{path.name}` is no notebook: no valid JSON from line {error.lineno} on. "
            f"Was it cut off, or edited by hand? {MEND}"
        ) from None
    except (ValueError, RecursionError):
        raise NoNotebook(f"`{path.name}` is no notebook that Jupyter can write. {MEND}") from None
    if not isinstance(data, dict):
        raise NoNotebook(f"`{path.name}` is JSON, but no notebook. {MEND}")
    return data


def read_bytes(path: Path, most: int) -> bytes:
    """What a file that is no link holds, or its first bytes. Raises OSError; never waits for a writer."""
    wanted = ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")  # not every system has each of them
    flags = sum(getattr(os, name, 0) for name in wanted)
    with open(os.open(path, os.O_RDONLY | flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return file.read(most)


def _cell(data: object, number: int, name: str) -> Cell:
    if not isinstance(data, dict):
        raise NoNotebook(f"Cell {number} of `{name}` is no cell. {MEND}")
    source = data.get("source", data.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        raise NoNotebook(f"Cell {number} of `{name}` holds no text. {MEND}")
    if len(source) > MAX_SOURCE:
        raise NoNotebook(
            f"Cell {number} of `{name}` has {len(source)} characters; at most {MAX_SOURCE} are "
            "graded. Keep data and outputs out of the cells."
        )
    kind = data.get("cell_type")
    return Cell(
        kind if kind in ("code", "markdown") else "raw",
        writable(source),
        _grade_id(data),
        _attachments(data.get("attachments")),
    )


def writable(text: str) -> str:
    """Half of a surrogate pair is valid JSON, but no text that a file could hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_base64(data: object) -> bool:
    """Whether it is the text of a picture, which can stand in a page without being looked at."""
    return isinstance(data, str) and _BASE64.fullmatch(data) is not None


def _grade_id(data: dict) -> str:
    metadata = data.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = marks.get("grade_id") if isinstance(marks, dict) else None
    return name if isinstance(name, str) and _GRADE_ID.fullmatch(name) else ""


def _attachments(data: object) -> dict[str, dict[str, str]]:
    """Pictures pasted into Markdown; anything else is left out."""
    kept: dict[str, dict[str, str]] = {}
    if isinstance(data, dict):
        for name, bundle in data.items():
            if isinstance(bundle, dict):
                pictures = {
                    mime: text
                    for mime, text in bundle.items()
                    if mime in PICTURES and is_base64(text)
                }
                if pictures:
                    kept[writable(name)] = pictures
    return kept
