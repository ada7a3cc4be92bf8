"""What keeps the house easy to enter: short functions and modules, no circles, nothing of one machine or one day."""

import ast
import graphlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("ganrev", "baselines", "experiments")
MOST_LINES_OF_A_FUNCTION = 50  # signature and docstring included
MOST_LINES_OF_A_MODULE = 300
LEFT_OVER = re.compile(r"\b(TODO|FIXME|XXX)\b|[\"'`(\s=](/root|/home|/Users)/\w")
PICTURE = re.compile(r'"image/png": "[\w+/=]+')  # of a notebook: any letters may be in it
MAY_HOLD_IT = "tests/test_house.py"


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def num_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    return function.end_lineno - function.lineno + 1


def text_files() -> Iterator[tuple[str, str]]:
    """Yield name and text of all that is tracked, or, without git, of what is of the kinds that are."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    names = names or [str(path.relative_to(ROOT)) for path in [*modules(), ROOT / "README.md", ROOT / "Makefile"]]
    for name in filter(None, names):
        path = ROOT / name
        if not path.is_file():
            continue  # deleted, and not yet committed
        try:
            yield name, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, weights and the like


def test_there_are_modules_to_look_at():
    assert len(modules()) > 80


def test_functions_are_short():
    long = [
        f"{path.relative_to(ROOT)}: {function.name} has {num_lines(function)} lines"
        for path in modules()
        for function in functions(path)
        if num_lines(function) > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long


def test_modules_are_short():
    sizes = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert not [f"{name} has {size} lines" for name, size in sizes.items() if size > MOST_LINES_OF_A_MODULE]


def test_no_module_is_a_drawer_for_everything():
    assert not [path for path in modules() if path.stem.strip("_") in ("utils", "util", "helpers", "misc", "common")]


def circle_in(imports):
    """Return modules of which each imports the next, back to the first; nothing where there is no such circle."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_a_circle_of_imports_is_found():
    assert set(circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_no_module_imports_itself_by_way_of_others():
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(graph.modules) > len(PACKAGES)
    assert circle_in(imports) == []


def test_nothing_is_left_over():
    found = [
        f"{name}: {match[0].strip()}"
        for name, text in text_files()
        if (match := LEFT_OVER.search(PICTURE.sub("", text))) is not None and name != MAY_HOLD_IT
    ]
    assert not found


@pytest.mark.parametrize("text", ["# TODO: later", "see /home/anna/x", 'Path("/Users/anna")', "in /root/x"])
def test_what_would_be_left_over_is_found(text):
    assert LEFT_OVER.search(text)


@pytest.mark.parametrize("text", ["todo = 1", "https://example.org/home/page", "data.root=Fotos", "~/faces"])
def test_what_looks_like_it_is_not(text):
    assert not LEFT_OVER.search(text)
