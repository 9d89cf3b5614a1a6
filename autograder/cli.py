"""The command `autograder`. Bad input gets one line on standard error and exit status 2."""

import argparse
import io
import itertools
import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path

from autograder.errors import Refused
from autograder.exercise import UnknownExercise, find, registry


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 0, 1 where something is wrong, 2 for bad input."""
    for stream in (sys.stdout, sys.stderr):  # a terminal may not have “these quotes”
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except Refused as error:
        print(f"autograder: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autograder", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    add = commands.add_parser(
        "list", help="the exercises of each chapter, with points, known mistakes and minutes"
    )
    add.set_defaults(run=_list)

    add = commands.add_parser("check", help="judge files, each named after its function")
    add.add_argument("files", nargs="+", type=Path, metavar="FILE", help="such as rnn_step.py")
    add.add_argument("--json", action="store_true", help="print one line of JSON a file")
    add.add_argument("--hidden", action="store_true", help="add the class's hidden cases")
    add.add_argument(
        "--seed", type=_seed, help="the seed of the hidden cases (default: the class's)"
    )
    add.add_argument(
        "--timeout", type=_seconds, metavar="S", help="seconds a file (default: 60, or as it needs)"
    )
    add.set_defaults(run=_check)

    add = commands.add_parser("freeze", help="rebuild the frozen public cases")
    add.add_argument("names", nargs="*", metavar="EXERCISE", help="which (default: all)")
    add.add_argument("--check", action="store_true", help="change nothing; fail where any is stale")
    add.set_defaults(run=_freeze)

    add = commands.add_parser("bundle", help="what students get: notebooks and a wheel")
    add.add_argument("--out", type=Path, default=Path("dist"), help="folder (default: dist)")
    add.set_defaults(run=_bundle)

    add = commands.add_parser("sample-class", help="a made-up class, to see grading at work")
    add.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all released")
    add.set_defaults(run=_sample_class)

    add = commands.add_parser("grade", help="grade a class; killed and run again, it goes on")
    add.add_argument(
        "assignments", nargs="*", metavar="ASSIGNMENT", help="default: all that was handed in"
    )
    add.add_argument(
        "--student", action="append", metavar="NAME", help="only this one (repeatable)"
    )
    add.add_argument("--exercise", metavar="NAME", help="only assignments with it, and anew")
    add.add_argument("--force", action="store_true", help="also what has not changed since")
    add.add_argument(
        "--workers",
        type=_number,
        metavar="N",
        help="submissions at once here (default: one a core)",
    )
    add.add_argument("--scheduler", metavar="URL", help="of a Dask cluster: tcp://HOST:PORT")
    add.set_defaults(run=_grade)

    add = commands.add_parser("scores", help="the class's scores, from nbgrader's gradebook")
    add.add_argument("assignment", nargs="?", metavar="ASSIGNMENT", help="default: all")
    add.set_defaults(run=_scores)

    add = commands.add_parser("export", help="scores for Canvas, Moodle or a spreadsheet")
    add.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")
    add.add_argument("--format", choices=("csv", "canvas", "moodle"), default="csv")
    add.add_argument("--out", type=Path, metavar="FILE", help="default: print them")
    add.add_argument(
        "--partial", action="store_true", help="also where hand grading is still to come"
    )
    add.add_argument(
        "--id",
        type=_numbered,
        action="append",
        default=[],
        metavar="ASSIGNMENT=NUMBER",
        help="Canvas's number of an assignment (repeatable)",
    )
    add.add_argument(
        "--feedback", action="store_true", help="for Moodle: reasons beside each score"
    )
    add.set_defaults(run=_export)

    add = commands.add_parser("similar", help="near-identical answers: to read, never a verdict")
    add.add_argument("assignment", nargs="?", metavar="ASSIGNMENT", help="default: all")
    add.add_argument(
        "--threshold",
        type=_share,
        default=0.8,
        metavar="SHARE",
        help="how alike, from 0.1 to 1 (default: 0.8)",
    )
    add.set_defaults(run=_similar)

    add = commands.add_parser("mistakes", help="which mistakes the class made, by exercise")
    add.add_argument("assignment", nargs="?", metavar="ASSIGNMENT", help="default: all")
    add.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw them")
    add.set_defaults(run=_mistakes)

    add = commands.add_parser(
        "leaderboard",
        help="the class's models, the best first",
        description="Of each graded model: error rate on the held-out words, words right, points, and the "
        "size that its own kernel counted; between them the course's own. Run it in the course's root.",
    )
    add.add_argument("assignment", nargs="?", metavar="ASSIGNMENT", help="default: 12-capstone")
    add.add_argument(
        "--names",
        action="store_true",
        help="say whose models they are, and mark those that are too good to be left unread",
    )
    add.add_argument("--format", choices=("table", "csv"), default="table")
    add.add_argument("--out", type=Path, metavar="FILE", help="default: print it")
    add.set_defaults(run=_leaderboard)

    add = commands.add_parser("doctor", help="say what is missing or wrong in this installation")
    add.set_defaults(run=_doctor)
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0 on, not {text!r}")
    return int(text)


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"a number of processes, 1 or more, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"seconds lie between 0 and a day (86400), not {text!r}")
    return seconds


def _numbered(text: str) -> tuple[str, str]:
    name, equals, number = text.rpartition("=")
    if not (name and equals and number.isascii() and number.isdecimal()):
        raise argparse.ArgumentTypeError(f"an assignment and its number: NAME=4711, not {text!r}")
    return name, number


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0.1 <= share <= 1:
        raise argparse.ArgumentTypeError(f"a share lies between 0.1 and 1, not {text!r}")
    return share


def _list(options) -> int:
    exercises = registry().values()
    width = max(max(len(exercise.name) + 2, len(exercise.chapter)) for exercise in exercises)
    print(f"{'':{width}}  points  mistakes  minutes")
    for chapter, group in itertools.groupby(exercises, key=lambda exercise: exercise.chapter):
        own = list(group)
        print(f"\n{chapter:<{width}}  {_load(own)}")
        for exercise in own:
            print(f"  {exercise.name:<{width - 2}}  {_load([exercise])}    ({exercise.signature})")
    print(f"\n{f'{len(exercises)} exercises':<{width}}  {_load(exercises)}")
    return 0


def _load(exercises) -> str:
    """What some exercises give and take together: points, mistakes that are known, minutes."""
    points = sum(exercise.max_score for exercise in exercises)
    mistakes = sum(len(exercise.mistakes) for exercise in exercises)
    return f"{points:>6g}  {mistakes:>8}  {sum(exercise.minutes for exercise in exercises):>7}"


def _check(options) -> int:
    if options.seed is not None and not options.hidden:
        raise Refused("--seed is the seed of the hidden cases: it goes with --hidden.")
    files = [(file, _exercise_of(file)) for file in options.files]
    passed = [_check_one(file, exercise, options) for file, exercise in files]
    return 0 if all(passed) else 1


def _check_one(file: Path, exercise, options) -> bool:
    from autograder import report
    from autograder.files import judge_file

    verdict = judge_file(exercise, file, options.timeout, _hidden(exercise, options))
    if options.json:
        row = {
            "exercise": exercise.name,
            "passed": verdict.passed,
            "score": verdict.score,
            "max_score": verdict.max_score,
            "diagnosis": list(verdict.diagnosis),
            "message": report.message(verdict),
        }
        print(json.dumps(row), flush=True)
    else:
        print(report.as_text(verdict), end="\n\n", flush=True)
    return verdict.passed


def _exercise_of(file: Path):
    """The exercise that a file is named after. Raises Refused before anything is run."""
    if file.suffix == ".ipynb":
        raise Refused(
            f"{file} is a notebook; `check` judges one function in a file named after it. "
            f"For a notebook: nbgrader validate {file}"
        )
    try:
        if file.is_dir():
            raise Refused(f"{file} is a folder. Name a file that is called after its function.")
        if not file.is_file():
            raise Refused(
                f"There is no file {file}. Name a file that is called after its function."
            )
        file.open("rb").close()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}.") from None
    try:
        return find(file.stem)
    except UnknownExercise as error:
        raise Refused(f"{file} is not named after an exercise. {error}") from None


def _instructors_edition(why: str) -> None:
    """Raises Refused where only the students' edition is installed."""
    if find_spec("autograder.grading") is None:
        raise Refused(
            f"{why} needs the instructor's edition: install the package from the course's repository."
        )


def _hidden(exercise, options):
    if not options.hidden:
        return None
    _instructors_edition("--hidden")
    from autograder.grading import hidden, live

    seed = options.seed if options.seed is not None else hidden.seed(Path.cwd())
    return seed, live.expected(exercise.name, seed)


def _freeze(options) -> int:
    _instructors_edition("`autograder freeze`")
    from autograder.grading import freeze

    for name in options.names:
        find(name)
    if options.check:
        chosen = [find(name) for name in options.names] or list(registry().values())
        reasons = [reason for exercise in chosen if (reason := freeze.stale(exercise))]
        print("\n".join(reasons) or f"The cases of {len(chosen)} exercises are up to date.")
        return 1 if reasons else 0
    changed = freeze.freeze(options.names)
    print(f"Written: {', '.join(changed)}" if changed else "All cases were up to date.")
    return 0


def _bundle(options) -> int:
    _instructors_edition("`autograder bundle`")
    from autograder.grading import bundle

    for path in bundle.bundle(Path.cwd(), options.out):
        print(path)
    return 0


def _sample_class(options) -> int:
    _instructors_edition("`autograder sample-class`")
    from autograder.grading import sample_class

    students = sample_class.make(Path.cwd(), options.assignments or None)
    print(f"Made {len(students)} students: {', '.join(students)}")
    return 0


def _grade(options) -> int:
    _instructors_edition("`autograder grade`")
    if options.workers and options.scheduler:
        raise Refused("--workers is for this machine, --scheduler for a cluster: give one of them.")
    if options.exercise:
        find(options.exercise)
    try:
        from autograder.grading import grade

        summary = grade.grade(
            Path.cwd(),
            options.assignments or None,
            options.student,
            options.exercise,
            options.force,
            options.workers,
            options.scheduler,
        )
    except KeyboardInterrupt:
        said = "interrupted. What was graded is kept: the same command goes on from there."
        print(f"\nautograder: {said}", file=sys.stderr)
        return 130
    print(summary.text())
    return 1 if summary.failed else 0


def _scores(options) -> int:
    _instructors_edition("`autograder scores`")
    from autograder.grading import scores

    print(scores.table(Path.cwd(), options.assignment))
    return 0


def _export(options) -> int:
    _instructors_edition("`autograder export`")
    from autograder.grading import export

    made = export.export(
        Path.cwd(),
        options.format,
        options.assignments or None,
        options.partial,
        dict(options.id),
        options.feedback,
    )
    if options.out:
        export.write(options.out, made.text)
    else:
        sys.stdout.write(made.text.replace("\r\n", "\n"))
    print("\n".join(made.notes), file=sys.stderr, end="\n" if made.notes else "")
    return 0


def _similar(options) -> int:
    _instructors_edition("`autograder similar`")
    from autograder.grading import similarity

    print(similarity.report(Path.cwd(), options.assignment, options.threshold))
    return 0


def _mistakes(options) -> int:
    _instructors_edition("`autograder mistakes`")
    from autograder.grading import lecture

    lectures = lecture.read(Path.cwd(), options.assignment)
    if options.plot:
        lecture.plot(options.plot, lectures)
    print(lecture.report(lectures))
    return 0


def _leaderboard(options) -> int:
    _instructors_edition("`autograder leaderboard`")
    from autograder.grading import export, leaderboard

    board = leaderboard.read(Path.cwd(), options.assignment)
    if options.format == "csv":
        text = leaderboard.as_csv(board, options.names)
    else:
        text = f"{leaderboard.table(board, options.names)}\n"
    if options.out:
        export.write(options.out, text)
    else:
        sys.stdout.write(text.replace("\r\n", "\n"))
    return 0


def _doctor(options) -> int:
    from autograder import doctor

    findings = doctor.examine(Path.cwd())
    for finding in findings:
        print(finding)
    return 1 if any(finding.bad for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
