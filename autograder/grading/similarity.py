"""Near-identical answers within a class: a report to read, never a verdict.

Two answers to an exercise are compared by the pieces of their syntax trees, the multisets of their
statements and expressions, after everything is taken out that says nothing about who thought of it:
layout, comments, docstrings, annotations, the names of variables, arguments and helper functions,
the order of keyword arguments, how NumPy is imported, `x += y` for `x = x + y`. Pieces that stand
in the stub or in the model answer do not count, since everybody may have them; an answer of which
little is left then is not compared, since little agrees by chance.

Students' code is parsed here and never executed.
"""

import ast
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autograder.errors import Refused
from autograder.exercise import find as find_exercise
from autograder.grading import course as courses
from autograder.grading import submission
from autograder.grading.course import NOTEBOOK
from autograder.grading.sanitise import code_of, code_places

THRESHOLD = 0.8
SMALLEST = 4  # nodes; a smaller piece, such as a sum of two names, is anybody's
LEAST = 12  # pieces that must be left of an answer for a comparison
MOST = 200_000  # characters of a notebook's code; what comes behind them is not read
WORK = 200_000  # steps to write the pieces of an answer; an honest one takes a few thousand
DEEPEST = 100  # brackets within brackets; the parser's own stack ends not far beyond
BLOCK = 512  # answers compared with all others at once

Pieces = Counter[str]

WARNING = """\
This is a list of what to read, and not of what anybody did. A short task has few good answers;
students may have been allowed to work together, or have used the same page, book or assistant,
and an answer that was copied and reworked is not here at all. Read both answers before you speak
with anyone, and let nobody's points depend on this list."""


@dataclass(frozen=True)
class Code:
    """The definitions of a notebook, each with the lines of its cell, and what its imports name."""

    definitions: dict[str, tuple[ast.FunctionDef | ast.ClassDef, list[str]]]
    modules: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """A function or class as handed in: its pieces, and the line where a statement begins, to be shown."""

    pieces: Pieces
    shown: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two students whose answers to an exercise are near-identical.

    score: twice the shared pieces over all pieces of both, from 0 to 1. shared: some of them.
    """

    exercise: str
    students: tuple[str, str]
    score: float
    pieces: int
    shared: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What came out for an assignment. `left_out` counts the answers not compared, by reason."""

    assignment: str
    students: int
    compared: int
    pairs: tuple[Pair, ...]
    left_out: dict[str, int]


def report(root: Path, assignment: str | None = None, threshold: float = THRESHOLD) -> str:
    """The near-identical answers of one assignment or of all, for people to read. Raises Refused."""
    known = courses.assignments(root)
    if assignment and assignment not in known:
        raise Refused(f"There is no assignment {assignment!r}. There are: {', '.join(known)}.")
    found = [find(root, name, threshold) for name in ([assignment] if assignment else known)]
    found = [finding for finding in found if finding.students]
    if not found:
        raise Refused(f"Nobody has handed in {assignment or 'anything'} yet.")
    return "\n\n".join([WARNING, *(_show(root, finding, threshold) for finding in found)])


def find(root: Path, assignment: str, threshold: float = THRESHOLD) -> Finding:
    """Compare what the class handed in for an assignment, the most alike first."""
    directory = courses.course(root)
    names = courses.exercises_in(directory, assignment)
    source = Path(directory.format_path(directory.source_directory, ".", assignment))
    released = courses.released(source / f"{NOTEBOOK}.ipynb", courses.settings(root))
    places = code_places(released)
    model = code_in(code_of(submission.read(source / f"{NOTEBOOK}.ipynb"), places))
    stub = code_in(cell.source for cell in released.cells if cell.cell_type == "code")
    common = {name: _pieces(model, name, names) | _pieces(stub, name, names) for name in names}
    answers: dict[str, dict[str, Answer]] = {name: {} for name in names}
    left_out: Counter[str] = Counter()
    folders = Path(directory.format_path(directory.submitted_directory, ".", ".")).glob("*")
    handed_in = sorted(path.name for path in folders if (path / assignment).is_dir())
    for student in handed_in:
        folder = directory.format_path(directory.submitted_directory, student, assignment)
        try:
            cells = submission.read(Path(folder) / f"{NOTEBOOK}.ipynb")
            code = code_in(code_of(cells, places))
        except submission.NoNotebook:
            left_out["in files that are no notebooks"] += len(names)
            continue
        for name in names:
            answer = answer_in(code, name, names, find_exercise(name).held_out)
            if answer is None:
                left_out["that cannot be read as Python, or are not there"] += 1
                continue
            own = answer.pieces - common[name]
            if own.total() < LEAST:
                left_out["too near to the stub or the model answer, or too short"] += 1
                continue
            answers[name][student] = Answer(own, answer.shown)
    pairs = [pair for name in names for pair in _pairs(name, answers[name], threshold)]
    pairs.sort(key=lambda pair: (-pair.score, -pair.pieces, pair.exercise, pair.students))
    compared = sum(map(len, answers.values()))
    return Finding(assignment, len(handed_in), compared, tuple(pairs), dict(left_out))


def answer_in(code: Code, name: str, exercises: list[str], whole: bool = False) -> Answer | None:
    """The function or class `name` with the helpers that it uses; None where there is none, or it is absurd.

    exercises: all of the notebook; an answer that another one calls is not counted with it. whole: all
    that the notebook defines is the answer, as where a trained model is asked.
    """
    if name not in code.definitions:
        return None
    own = set(code.definitions) - set(exercises)
    todo, pieces, shown, work = [name], Counter(), {}, 0
    todo += sorted(own - {name}) if whole else []
    try:
        for helper in todo:  # it grows as helpers of helpers are found
            definition, lines = code.definitions[helper]
            for text, node, steps in _Writer(definition, code.modules, own).pieces():
                pieces[text] += 1
                work += steps
                if work > WORK:
                    return None
                if isinstance(node, ast.stmt):
                    shown.setdefault(text, lines[node.lineno - 1])
            used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
            todo += sorted((used & own) - set(todo))
    except RecursionError:
        return None
    return Answer(pieces, shown)


def _pieces(code: Code, name: str, exercises: list[str]) -> Pieces:
    answer = answer_in(code, name, exercises, find_exercise(name).held_out)
    return answer.pieces if answer else Counter()


# Reading


def code_in(sources: Iterable[str]) -> Code:
    """What the code cells of a notebook define, the last definition of a name winning."""
    code, left = Code({}, {}), MOST
    for source in sources:
        left -= len(source)
        tree = parse(source) if left >= 0 else None
        for statement in tree.body if tree else ():
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                # The parser's idea of a line: a form feed, say, does not begin a new one.
                code.definitions[statement.name] = statement, re.split(r"\r\n|\r|\n", source)
            elif isinstance(statement, (ast.Import, ast.ImportFrom)):
                code.modules.update(_imported(statement))
    return code


def parse(text: str) -> ast.Module | None:
    """The syntax tree of a cell, or None where it has none. Nothing is executed; nothing raises."""
    if _depth(text) > DEEPEST:
        return None
    plain = re.sub(r"^([ \t]*)[%!].*$", r"\1pass", text, flags=re.MULTILINE)  # Jupyter's commands
    for candidate in dict.fromkeys((text, plain)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about the student's escapes and comparisons
                return ast.parse(candidate)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _depth(text: str) -> int:
    """How deep a line is indented, or brackets and signs are nested: an upper bound."""
    deepest = depth = 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        deepest = max(deepest, depth)
    runs = (len(run) for run in re.findall(r"(?:(?:[-+~]|\bnot\b|\blambda\b|:)\s*)+", text))
    return max([deepest, *runs])


def _imported(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """What each name that it binds stands for: `np` for "numpy", `tanh` for "numpy.tanh"."""
    if isinstance(statement, ast.Import):
        return {
            a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
            for a in statement.names
        }
    return {a.asname or a.name: f"{statement.module or ''}.{a.name}" for a in statement.names}


# Writing a tree so that equal texts mean equal thoughts

_SKIPPED = ("ctx", "type_comment", "annotation", "returns", "decorator_list", "kind", "type_params")
_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


class _Writer:
    """Writes the pieces of a definition, each in a normal form with its names numbered from 0."""

    def __init__(
        self,
        definition: ast.FunctionDef | ast.ClassDef,
        modules: dict[str, str],
        helpers: set[str],
    ):
        self._definition = definition
        self._modules = dict(modules)
        self._own = {definition.name, *helpers}
        for node in ast.walk(definition):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._modules |= _imported(node)
            for body in _BODIES:
                if isinstance(statements := getattr(node, body, None), list):
                    statements[:] = map(_spelled_out, statements)
        for node in ast.walk(definition):
            if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                self._own.add(node.id)
            elif isinstance(node, ast.arg):
                self._own.add(node.arg)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or (
                isinstance(node, ast.ExceptHandler) and node.name
            ):
                self._own.add(node.name)

    def pieces(self) -> Iterator[tuple[str, ast.AST, int]]:
        """Every statement, without the ones within it, and every expression, if not too small.

        With each, the node that it is, and how many nodes were visited to write it.
        """
        for node in ast.walk(self._definition):
            if not isinstance(node, (ast.stmt, ast.expr)) or _says_nothing(node):
                continue
            self._numbers: dict[str, int] = {}
            self._size = 0
            text = self._write(node, whole=False)
            if self._size >= SMALLEST:
                yield text, node, self._size

    def _write(self, node: object, whole: bool = True) -> str:
        """The normal form. whole: with the statements inside it."""
        if isinstance(node, list):
            return f"[{','.join(self._write(item) for item in node if not _says_nothing(item))}]"
        if not isinstance(node, ast.AST):
            return repr(node)
        if isinstance(node, ast.operator | ast.unaryop | ast.cmpop | ast.boolop):
            return type(node).__name__
        self._size += 1
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.arg):
            return self._name(node.arg)
        if isinstance(node, ast.Attribute) and (path := self._path(node)):
            return path
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return self._write(ast.Assign([node.target], node.value))
        if isinstance(node, ast.Call):
            # Keywords may be given in any order; what ** unpacks stays last.
            keywords = sorted(node.keywords, key=lambda k: (k.arg is None, k.arg or ""))
            named = ",".join(f"{k.arg}={self._write(k.value)}" for k in keywords)
            return f"Call({self._write(node.func)},{self._write(node.args)},{named})"
        parts = []
        for name, value in ast.iter_fields(node):
            if name in _SKIPPED or (not whole and name in _BODIES and isinstance(value, list)):
                continue
            if name in ("name", "id") and isinstance(value, str):
                parts.append(self._name(value))
            elif value is not None:
                parts.append(f"{name}={self._write(value)}")
        return f"{type(node).__name__}({','.join(parts)})"

    def _name(self, name: str) -> str:
        if name in self._modules and name not in self._own:
            self._size += self._modules[name].count(".")
            return self._modules[name]
        if name in self._own:
            return f"#{self._numbers.setdefault(name, len(self._numbers))}"
        return name

    def _path(self, node: ast.Attribute) -> str:
        """ "numpy.tanh" for `np.tanh`, or "" where the root is no module."""
        names, root = [node.attr], node.value
        while isinstance(root, ast.Attribute):
            names.append(root.attr)
            root = root.value
        if not isinstance(root, ast.Name) or root.id in self._own or root.id not in self._modules:
            return ""
        self._size += len(names)
        return ".".join([self._modules[root.id], *reversed(names)])


def _spelled_out(statement: ast.AST) -> ast.AST:
    """`x = x + y` for `x += y`; other statements as they are."""
    if not isinstance(statement, ast.AugAssign):
        return statement
    value = ast.BinOp(statement.target, statement.op, statement.value)
    return ast.copy_location(ast.Assign([statement.target], value), statement)


def _says_nothing(node: object) -> bool:
    """Docstrings and other texts that stand for themselves, `pass`, imports, bare annotations."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        return node.value is None
    return isinstance(node, (ast.Pass, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal))


def _printable(line: str) -> str:
    """A line of somebody's code, safe for a terminal."""
    text = "".join(c if c.isprintable() else " " for c in line)
    return textwrap.shorten(text, 90, placeholder=" …")


# Comparing


def _pairs(exercise: str, answers: dict[str, Answer], threshold: float) -> Iterator[Pair]:
    """All pairs at or above the threshold, by products of matrices: a class may be thousands."""
    students = list(answers)
    # The second copy of a piece is a column of its own, so that a product counts multisets.
    copies = [
        [(text, copy) for text, count in answers[s].pieces.items() for copy in range(count)]
        for s in students
    ]
    held = Counter(item for items in copies for item in items)
    columns = {item: place for place, item in enumerate(i for i, n in held.items() if n > 1)}
    sizes = np.array([len(items) for items in copies], dtype=np.float32)
    has = np.zeros((len(students), len(columns)), dtype=np.float32)
    for row, items in enumerate(copies):
        has[row, [columns[item] for item in items if item in columns]] = 1
    for start in range(0, len(students), BLOCK):
        block = slice(start, start + BLOCK)
        score = 2 * (has[block] @ has.T) / (sizes[block, None] + sizes)
        for row, other in zip(*np.nonzero(score >= threshold), strict=True):
            if start + row < other:
                pair = students[start + row], students[other]
                yield _pair(exercise, pair, answers, float(score[row, other]))


def _pair(exercise: str, students: tuple[str, str], answers: dict, score: float) -> Pair:
    first, second = (answers[student] for student in students)
    both = first.pieces & second.pieces
    shown = sorted((text for text in both if text in first.shown), key=lambda text: -len(text))
    shared = tuple(dict.fromkeys(_printable(first.shown[text]) for text in shown))[:3]
    return Pair(exercise, students, score, both.total(), shared)


def _show(root: Path, finding: Finding, threshold: float) -> str:
    count = len(finding.pairs)
    lines = [
        f"{finding.assignment}: {finding.students} students, {finding.compared} answers compared, "
        f"{count or 'no'} pair{'s' * (count != 1)} alike by {threshold:.0%} or more"
    ]
    for why, number in sorted(finding.left_out.items()):
        lines.append(f"  not compared: {number} answer{'s' * (number != 1)} {why}")
    for pair in finding.pairs:
        lines += ["", f"  {pair.score:4.0%}  {pair.exercise}: {' and '.join(pair.students)}"]
        lines.append(f"        {pair.pieces} pieces that the model answer does not have, such as")
        lines += [f"            {line}" for line in pair.shared]
    if finding.pairs:
        directory = courses.course(root)
        where = f"{directory.submitted_directory}/STUDENT/{finding.assignment}/{NOTEBOOK}.ipynb"
        lines += ["", f"  To read: {where}"]
    return "\n".join(lines)
