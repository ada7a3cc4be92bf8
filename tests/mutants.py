"""`make mutants`: small changes of the code that tests should notice, by mutmut, where mistakes are silent.

Coding with its quantiser, metrics, and the identity of runs (`[tool.mutmut]` in pyproject.toml), against the tests of
these alone. All of the 2,000 take hours, so a random sample is tried; prints the share that tests noticed, and the
changes that they did not, those of lines that no test runs among them. mutmut passes over decorated functions and
constants.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

_GENERATING = "ganrev.coding.frame.x_fingerprint*"  # a few, that all are generated before the sample is drawn
_LEAST = 0.85
_UNNOTICED = (0, 33)  # the tests passed; no test runs this line


def outcomes():
    """Return what became of each mutant, by name: mutmut's exit code, None where it was not tried."""
    files = sorted(Path("mutants/ganrev").rglob("*.meta"))
    return {name: code for file in files for name, code in json.loads(file.read_text())["exit_code_by_key"].items()}


def mutmut(*arguments, **options):
    """Call mutmut; one thread, or processes that it forks wait for threads that they do not have."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    return subprocess.run(command, env=environment, check=False, text=True, **options)


def main():
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--number", type=int, default=240, help="of mutants; 0 for all  [default: 240]")
    parser.add_argument("--seed", type=int, default=0, help="of the sample  [default: 0]")
    options = parser.parse_args()
    mutmut("run", "--max-children", "1", _GENERATING)
    names = sorted(outcomes())
    chosen = random.Random(options.seed).sample(names, min(options.number, len(names))) if options.number else names
    mutmut("run", "--max-children", "1", *(chosen if options.number else ()))
    tried = {name: code for name, code in outcomes().items() if name in set(chosen) and code is not None}
    unnoticed = [name for name, code in tried.items() if code in _UNNOTICED]
    for name in unnoticed:
        shown = mutmut("show", name, capture_output=True).stdout.splitlines()
        print(name, *[line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---")], sep="\n  ")
    share = 1 - len(unnoticed) / len(tried)
    print(f"{len(tried)} of {len(names)} mutants tried, {len(unnoticed)} unnoticed: {share:.1%} noticed")
    return int(share < _LEAST)


if __name__ == "__main__":
    raise SystemExit(main())
