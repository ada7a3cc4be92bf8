"""Overrides: composed in one place, and what Hydra would read otherwise than it was meant."""

import logging
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from ganrev.cli import main
from ganrev.configuration.overrides import check_overrides, compose_config, quote, refuse_tables, to_overrides
from tests.calling import fails

ROOT = Path(__file__).resolve().parents[2]
AWKWARD = [
    "2024_01_05",
    "Fotos (2)",
    "Müller/é",
    "a=b",
    "~/x",
    'say "hi"',
    "back\\",
    'a\\"b',
    "1e5",
    "true",
    "it's, he said",
]


def advised(message):
    """Return the override that a message advises, as a shell hands it on."""
    (override,) = shlex.split(message.rpartition("In a shell write ")[2])
    return override


@pytest.mark.parametrize("text", AWKWARD)
def test_any_text_can_be_quoted(text):
    parsed = OverridesParser.create().parse_override(f"data.root={quote(text)}")
    assert parsed.value() == text
    assert compose_config(["data=folder", *to_overrides({"data.root": text})]).data.root == text


@pytest.mark.parametrize("key", ["data.root", "out", "generator.path", "train.valid"])
@pytest.mark.parametrize("text", ["2024_01_05", "12", "1e5", "Fotos (2)", "Müller", "a=b", "a#b", "true"])
def test_a_text_that_hydra_reads_otherwise_is_named_with_the_quoting_that_works(key, text):
    with pytest.raises(ValueError, match=f"^{key} ") as error:
        check_overrides([f"{key}={text}"])
    assert OverridesParser.create().parse_override(advised(str(error.value))).value() == text
    check_overrides([advised(str(error.value))])


def test_lists_of_texts_too():
    with pytest.raises(ValueError, match=r"^codec.faces must be a text, and \[a.tar,2024\] is read as the number 2024"):
        check_overrides(["codec.faces=[a.tar,2024]"])
    with pytest.raises(ValueError, match=r"codec.faces has a value that must be quoted") as error:
        check_overrides(["codec.faces=[a (1).tar,b.tar]"])
    assert advised(str(error.value)) == 'codec.faces=["a (1).tar","b.tar"]'


def test_what_is_read_as_it_was_meant_passes():
    check_overrides(
        ["loss=mse,ssim", "quant.step=0.5", "out=runs", "~data.shard", "+x={a:1}", "data.root=null", "seed=3"]
    )
    with pytest.raises(ValueError, match=r"^seed is no override: .*expected OPTION=VALUE"):
        check_overrides(["seed"])


@pytest.fixture
def run_py(tmp_path, monkeypatch, capsys):
    """Run run.py in an empty folder, in this process; returns its exit status and what it complained of."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level  # Hydra's would go on writing to streams of this test
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "run.py"), run_name="__main__")
        return end.value.code, capsys.readouterr().err

    yield run
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    "override", ["experiment=table1", "data.root=2024_01_05", "data.root=Fotos (é)", "out=2024_01_05"]
)
def test_run_py_says_it_in_one_line(override, run_py, tmp_path):
    status, complaint = run_py("codec=jpeg", "data=folder", override)
    assert status == 2
    assert len(complaint.splitlines()) == 1
    assert complaint.startswith("error: ")
    assert ("ganrev table table1" if "table1" in override else f"{override.partition('=')[0]} ") in complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["reversal.nope=1"], "'reversal.nope'"),
        (["quant=nope"], "'quant/nope'"),
        (["reversal.steps"], "reversal.steps is no override"),
        (["codec=png", "codec._target_=nowhere.Codec"], "nowhere.Codec cannot be imported"),
        (["codec._target_=fractions.Fraction"], "codec=png codec._target_=fractions.Fraction"),
        (["codec=png", "out=null"], "out must be a folder"),
        (["codec=png", "force=maybe"], "force must be true or false, got 'maybe'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_hydra_says_in_many_lines_is_said_in_one(overrides, said, run_py):
    status, complaint = run_py(*overrides)
    assert status == 2
    assert len(complaint.splitlines()) == 1
    assert complaint.startswith("error: ")
    assert said in complaint


@pytest.mark.parametrize(
    ("override", "own"),
    [
        ("experiment=table1", "its own is make table1, or ganrev table table1"),
        ("+experiment=baselines", 'its own is make table ARGS="baselines", or ganrev table baselines'),
        ("tables=figures", "its own is make figures, or ganrev figures"),
        ("experiment=rd", "its own is make rd, or ganrev rd"),
        ("experiment=automatic", "its own is make automatic, or ganrev automatic"),
        ("++tables=grid", 'its own is make sweep ARGS="grid", or ganrev sweep grid'),
        ("experiment=nothing", "there is no table 'nothing'; choose one of automatic, baselines"),
    ],
)
def test_a_table_is_no_run(override, own):
    with pytest.raises(ValueError, match=r".+") as error:
        refuse_tables(["loss=mse", override])
    assert own in str(error.value)


def test_commands_say_it_too(capsys, tmp_path):
    picture = ROOT / "results" / "reference" / "samples.png"
    compress = ["compress", str(picture), "-o", str(tmp_path / "a.gr")]
    for command, name in ((["table", "baselines", "data=folder"], "data.root"), (compress, "generator.path")):
        with pytest.raises(SystemExit) as stopped:
            main([*command, f"{name}=2024_01_05"])
        assert stopped.value.code == 2
        assert f"In a shell write '{name}=\"2024_01_05\"'" in capsys.readouterr().err


def test_what_is_no_table_is_named_as_it_was_given(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").touch()
    (tmp_path / "tables.yaml").mkdir()
    for name, kind in (("mine.txt", "a file"), ("tables.yaml", "a folder"), (str(tmp_path), "a folder")):
        assert f"{name} is {kind}, and no table: a table of your own" in fails(capsys, "table", name)
    assert fails(capsys, "table", "tabel1").startswith("error: there is no table 'tabel1'; choose one of automatic, ")
