"""python -m experiments [NAME ...]: compute the results that the readings plot, and write them down."""

import argparse
import os

from experiments import runner


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="runs at a time (default: the cores)",
    )
    arguments = parser.parse_args()
    known = runner.names()
    if unknown := sorted(set(arguments.names) - set(known)):
        parser.error(f"no experiment {', '.join(unknown)}; there are {', '.join(known)}")
    for name in arguments.names or known:
        if arguments.list:
            print(f"{name}: {(runner.experiment(name).__doc__ or '').strip().splitlines()[0]}")
        else:
            print(runner.record(name, arguments.workers))


if __name__ == "__main__":
    main()
