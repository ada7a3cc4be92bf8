"""README and docs/: every command and every block of Python runs, every link leads somewhere.

Blocks of `bash` are commands. Blocks of `console` are commands after `$ ` and what they print, `...` for anything; one
that ends with an error says so. Blocks of `python` and `yaml` whose first line is `# name.py` are that file for the
commands that follow. Blocks of `text` are not run.
"""

import fnmatch
import itertools
import re
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from tests.calling import running_quickly
from tests.docs import miniature
from tests.docs.miniature import ROOT, execute, lines_of

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
PAGES = [page for page in PAGES if page.exists()]
LANGUAGES = {"bash", "console", "python", "yaml", "text"}


def run_commands(example: Example) -> None:
    for line in lines_of(example.parsed):
        status, printed = execute(line)
        assert status == 0, f"{line}\n{printed}"


def run_session(example: Example) -> None:
    for command, *expected in (part.splitlines() for part in re.split(r"^\$ ", example.parsed, flags=re.M)[1:]):
        status, printed = execute(command)
        assert bool(status) == any(line.startswith("error:") for line in expected), f"{command}\n{printed}"
        for line in expected:
            pattern = re.sub(r"([\[\]?*])", r"[\1]", line).replace("...", "*")
            assert fnmatch.filter(printed.splitlines(), pattern), f"{command}\nexpected {line}\ngot {printed}"


def run_python(example: Example) -> None:
    keep_file(example)
    PythonEvaluator()(example)


def read_yaml(example: Example) -> None:
    keep_file(example)
    assert yaml.safe_load(example.parsed)


def keep_file(example: Example) -> None:
    named = re.match(r"# ([\w/]+\.\w+)\n", example.parsed)
    if named:
        Path(named[1]).parent.mkdir(parents=True, exist_ok=True)
        Path(named[1]).write_text(example.parsed, encoding="utf-8")


RUN = {"bash": run_commands, "console": run_session, "python": run_python, "yaml": read_yaml}
SYBIL = Sybil(parsers=[CodeBlockParser(language, evaluator) for language, evaluator in RUN.items()])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_block_runs(page, place, sample):
    with running_quickly():
        for example in SYBIL.parse(page):
            example.evaluate()


def test_a_command_that_fails_is_noticed(place):
    assert execute("ganrev info nothing.gr") == (2, "error: there is no file nothing.gr\n")
    assert execute("make nothing")[0]
    assert execute("ganrev info nothing.gr && touch reached")[0] == 2
    assert not Path("reached").exists()


def test_commands_are_read_as_a_shell_reads_them(place, monkeypatch):
    called = []
    monkeypatch.setattr(miniature, "_call_here", lambda words: called.append(words) or (0, ""))
    for line in lines_of('# a comment\nganrev info a.gr  # why\nmake report ARGS="--at 250" \\\n  RUNS="*.csv"\n'):
        assert execute(line)[0] == 0
    assert called == [["info", "a.gr"], ["report", "people.csv", "-o", "results/report.html", "--at", "250"]]


def tokens_of(page: Path) -> list:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page):
    for token in tokens_of(page):
        if token.type in ("fence", "code_block"):
            assert token.info in LANGUAGES, f"{page.name}, line {token.map[0] + 1}: {token.info!r}"


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that a forge gives to headings."""
    tokens = tokens_of(page)
    titles = [after.content for token, after in itertools.pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links_of(page: Path) -> list[str]:
    parts = [child for token in tokens_of(page) for child in token.children or []]
    return [str(part.attrs.get("href") or part.attrs["src"]) for part in parts if part.type in ("link_open", "image")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_link_is_dead(page):
    for link in links_of(page):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name}: {link}"


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links_of(page) if "://" not in link]
    assert set((ROOT / "docs").glob("*.md")) <= reached


def test_the_readme_is_short():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 120
    assert max(map(len, lines)) <= 120 or all(line.startswith("|") for line in lines if len(line) > 120)
