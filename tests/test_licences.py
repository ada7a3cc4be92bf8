"""All that is shipped, fetched or installed is listed with its licence."""

import re
from pathlib import Path

import yaml

from ganrev import licences
from ganrev.cli import main
from ganrev.data import celeba
from ganrev.evaluation import identity
from ganrev.paths import config_dir

ROOT = Path(__file__).resolve().parent.parent


def test_every_download_is_listed():
    listed = {one.name for one in licences.FETCHED}
    generators = [yaml.safe_load(path.read_text()) for path in (config_dir() / "generator").glob("*.yaml")]
    wheels = {one["requirement"] for one in generators if "requirement" in one}
    files = {one["url"].rsplit("/", 1)[-1] for one in generators if "url" in one}
    assert {celeba._WHEEL, identity._PACKAGE, *wheels, *files} <= listed


def test_every_component_of_the_report_is_listed():
    text = (ROOT / "ganrev" / "report" / "vendor" / "LICENSES.txt").read_text()
    components = re.findall(r"^(\S+ [0-9.]+), npm package", text, re.MULTILINE)
    assert len(components) == 2
    assert set(components) <= {one.name for one in licences.SHIPPED}


def test_python_packages_are_found_through_others():
    found = {one.name.split(" ")[0].lower(): one for one in licences.python_packages()}
    assert found["torch"].licence.startswith(("BSD", "Apache"))
    assert "sympy" in found  # torch's
    assert "ganrev" not in found
    assert all(one.licence and one.licence != "UNKNOWN" for one in found.values())


def test_a_package_that_is_not_there_has_none():
    assert licences.python_packages("no-such-package") == []


def test_the_command_lists_all(capsys):
    main(["licences"])
    printed = capsys.readouterr().out
    for part in (
        "shipped:",
        "fetched when it is asked for:",
        "installed Python packages:",
        "tablesort 5.7.1",
        "numpy ",
    ):
        assert part in printed
