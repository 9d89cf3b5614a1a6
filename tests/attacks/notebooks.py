"""Attacks on the file: metadata, tags, ids, cells, and what is no notebook at all."""

import gzip
import json
import os
from pathlib import Path

from attacks.attack import ATTACKED, OTHER, RIGHT, Attack, cell_of, code, full, honest, wrong

CHECK = f"{ATTACKED}-check"


def _every_cell(**changes):
    def edit(notebook: dict) -> None:
        for cell in notebook["cells"]:
            cell["metadata"].update(changes)

    return edit


def _marks(grade_id: str, **changes):
    return lambda notebook: cell_of(notebook, grade_id)["metadata"]["nbgrader"].update(changes)


def _source(grade_id: str, text: str):
    return lambda notebook: cell_of(notebook, grade_id).update(source=text)


def _doubled_check(notebook: dict) -> None:
    cell = json.loads(json.dumps(cell_of(notebook, CHECK)))
    notebook["cells"].append(cell | {"source": "11.0"})


def _swapped_checks(notebook: dict) -> None:
    other = cell_of(notebook, f"{OTHER}-check")
    cell_of(notebook, CHECK)["metadata"]["nbgrader"]["grade_id"] = "moved"
    other["metadata"]["nbgrader"]["grade_id"] = CHECK


def _stored_score(notebook: dict) -> None:
    score = {"output_type": "execute_result", "data": {"text/plain": "11.0"}}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [score | {"execution_count": 1, "metadata": {}}]


def _claims_to_be_judged(notebook: dict) -> None:
    notebook["metadata"]["autograder"] = {"reasons": {}, "fingerprint": "0" * 64, "refused": "no"}


def _is_text(notebook: dict) -> None:
    cell = cell_of(notebook, CHECK)
    cell.update(cell_type="markdown", source="11.0")
    cell["metadata"]["nbgrader"].update(solution=True, grade=True, points=11)


def _other_kernel(notebook: dict) -> None:
    notebook["metadata"]["kernelspec"] = {"name": "bash", "display_name": "x", "language": "bash"}
    notebook["nbformat"], notebook["nbformat_minor"] = 99, -1


def _odd_types(notebook: dict) -> None:
    for cell in notebook["cells"]:
        cell["id"] = [1]
        cell["metadata"].get("nbgrader", {}).update(points={"a": 1}, schema_version=[], locked=3)
    notebook["metadata"] = [1]


def _no_checks(notebook: dict) -> None:
    notebook["cells"] = [c for c in notebook["cells"] if not c["source"].startswith("check(")]


def _backwards(notebook: dict) -> None:
    notebook["cells"].reverse()


def _copies(notebook: dict) -> None:
    cell_of(notebook, CHECK)["source"] = f'check("{OTHER}", {OTHER})'


def _with_text(source: str, **parts):
    cell = {"cell_type": "markdown", "metadata": {}, "source": source} | parts
    return lambda notebook: notebook["cells"].append(cell)


TRICKS = [
    Attack("link-with-a-huge-number", wrong(), edit=_with_text(f"[a](&#{'9' * 5000};)")),
    Attack(
        "picture-that-takes-hours-to-look-at",
        wrong(),
        edit=_with_text("a", attachments={"a.png": {"image/png": " " * 3_000_000 + "!"}}),
    ),
    Attack(
        "picture-whose-name-no-file-holds",
        wrong(),
        edit=_with_text("a", attachments={"\ud800": {"image/png": "aaaa"}}),
    ),
    Attack("tags-skip-execution", wrong(), edit=_every_cell(tags=["skip-execution"])),
    Attack(
        "tags-raises-exception", "raise ValueError", edit=_every_cell(tags=["raises-exception"])
    ),
    Attack("own-points", wrong(), edit=_marks(CHECK, points=1100, checksum="0")),
    Attack("own-test", wrong(), edit=_source(CHECK, "11.0")),
    Attack("checks-the-other-exercise", wrong(), edit=_copies),
    Attack("doubled-test", wrong(), edit=_doubled_check),
    Attack("swapped-tests", wrong(), edit=_swapped_checks),
    Attack("no-tests", wrong(), edit=_no_checks),
    Attack("stored-outputs-with-scores", wrong(), edit=_stored_score),
    Attack("test-made-a-text", wrong(), edit=_is_text),
    Attack("claims-to-be-judged", wrong(), edit=_claims_to_be_judged),
    Attack("another-kernel-and-format", wrong(), edit=_other_kernel),
    Attack("odd-types-in-metadata", wrong(), edit=_odd_types),
    Attack("cells-backwards", wrong(), edit=_backwards),
    Attack("test-cell-is-a-solution", wrong(), edit=_marks(CHECK, solution=True, grade=True)),
    Attack("answer-cell-is-a-test", wrong(), edit=_marks(ATTACKED, grade=True, points=99)),
    Attack(
        "magics-run-other-cells",
        f"%%capture\n{wrong()}",
        after=("%%javascript\nalert(1)", "%%html\n<script>alert(1)</script>", "%%bash\nexit 3"),
    ),
]


def _bytes(content: bytes):
    return lambda path: path.write_bytes(content)


def _json(change):
    def place(path: Path) -> None:
        notebook = honest()
        path.write_text(json.dumps(change(notebook)), encoding="utf-8")

    return place


def _link(target: str):
    return lambda path: path.symlink_to(target)


def _with_a_fifo_beside(path: Path) -> None:
    path.write_text(json.dumps(honest() | {"cells": [code(wrong())]}), encoding="utf-8")
    os.mkfifo(path.parent / "timestamp.txt")


def _with_a_spoilt_time(path: Path) -> None:
    path.write_text(json.dumps(honest() | {"cells": [code(wrong())]}), encoding="utf-8")
    (path.parent / "timestamp.txt").write_text("the day after tomorrow \x00")


def _with_modules_beside(path: Path) -> None:
    path.write_text(json.dumps(honest() | {"cells": [code(wrong())]}), encoding="utf-8")
    for name in ("numpy.py", "autograder.py", "sitecustomize.py", "ipykernel_launcher.py"):
        (path.parent / name).write_text("raise SystemExit(7)")


def _file(name: str, place, says: str = "") -> Attack:
    return Attack(name, place=place, other=False, says=says)


FILES = [
    _file("empty", _bytes(b""), "is empty"),
    _file("cut-off", lambda path: path.write_text(json.dumps(honest())[:900]), "no valid JSON"),
    _file("binary", _bytes(bytes(range(256)) * 40), "no text in UTF-8"),
    _file("zipped", lambda path: path.write_bytes(gzip.compress(b"{}" * 99)), "no text in UTF-8"),
    _file("a-python-file", _bytes(b"import numpy as np\n"), "no valid JSON"),
    _file("utf-16", lambda path: path.write_text("{}", encoding="utf-16"), "no text in UTF-8"),
    _file("a-number", _bytes(b"9"), "no notebook"),
    _file("brackets", _bytes(b"[" * 200_000), "no notebook"),
    _file("a-huge-number", _bytes(b'{"cells": ' + b"9" * 9999 + b"}"), "no notebook"),
    _file("not-a-number", _json(lambda nb: nb | {"cells": [{"source": float("nan")}]}), "no text"),
    _file("cells-are-a-dict", _json(lambda nb: nb | {"cells": {}}), "no list of cells"),
    _file("too-many-cells", _json(lambda nb: nb | {"cells": [code("")] * 1001}), "at most 1000"),
    _file("too-long-a-cell", _json(lambda nb: nb | {"cells": [code("#" * 200_001)]}), "at most"),
    _file("too-large", _bytes(b" " * 20_000_001), "at most 20 MB"),
    _file("a-folder", lambda path: path.mkdir(), "no file"),
    _file("a-link-to-the-gradebook", _link("../../../gradebook.db"), "no file"),
    _file("a-link-to-a-device", _link("/dev/zero"), "no file"),
    _file("a-link-to-itself", _link("exercises.ipynb"), "no file"),
    _file("a-pipe", lambda path: os.mkfifo(path), "no file"),
    _file("a-pipe-as-the-time", _with_a_fifo_beside),
    _file("a-spoilt-time", _with_a_spoilt_time),
    _file("modules-beside-it", _with_modules_beside),
    _file("half-a-surrogate", _json(lambda nb: nb | {"cells": [code("'\ud800'")]})),
    _file("no-cells", _json(lambda nb: nb | {"cells": []})),
    _file("old-format", _json(lambda nb: {"worksheets": [{"cells": nb["cells"][:1]}]})),
]

# A notebook of which only the surroundings are odd is graded for what it is.
HARMLESS = [
    Attack("another-order", RIGHT[ATTACKED], edit=_backwards, gains=full(ATTACKED)),
]
