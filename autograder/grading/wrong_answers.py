"""Known mistakes as source text that a student could have handed in."""

import ast
import inspect
import textwrap
from types import FunctionType, ModuleType

from autograder.exercise import Exercise
from autograder.grading import live


def sources(exercise: Exercise) -> list[str]:
    """For each known mistake that can be written out, a cell that defines the function that way."""
    functions = live.mistake_functions(exercise).values()
    return [text for function in functions if (text := written_out(exercise.name, function))]


def written_out(name: str, function: FunctionType) -> str:
    """The source of `function` under the name `name`, or "" where it needs more than can be shown.

    What it calls, such as a helper or the right answer that it then spoils, comes first, under
    names that start with an underscore.
    """
    imports: dict[str, None] = {}
    parts: list[str] = []
    try:
        _write(function, name, imports, parts, {function: name})
    except _TooMuch:
        return ""
    return "\n\n\n".join(["\n".join(imports), *parts]).strip() + "\n"


class _TooMuch(Exception):
    """The function needs something that is neither a function nor a module nor a plain constant."""


def _write(function: FunctionType, name: str, imports: dict, parts: list, names: dict) -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    if not isinstance(tree, ast.FunctionDef) or function.__closure__:
        raise _TooMuch
    tree.name, tree.decorator_list, tree.returns = name, [], None
    for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs):
        argument.annotation = None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in function.__globals__:
            node.id = _bring(node.id, function.__globals__[node.id], imports, parts, names)
    parts.append(ast.unparse(tree))  # what it calls stands before it


def _bring(name: str, value: object, imports: dict, parts: list, names: dict) -> str:
    """Provide what a global name stands for; returns the name that it has in the cell."""
    if isinstance(value, ModuleType) and not value.__name__.startswith("autograder"):
        imports[f"import {value.__name__} as {name}"] = None
        return name
    if isinstance(value, (bool, int, float, str)):
        imports[f"{name} = {value!r}"] = None
        return name
    if isinstance(value, FunctionType) and value.__module__.startswith("autograder."):
        if value not in names:
            names[value] = f"_{value.__name__.lstrip('_')}"
            _write(value, names[value], imports, parts, names)
        return names[value]
    raise _TooMuch
