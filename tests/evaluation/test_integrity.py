"""A damaged record is noticed, named, set aside and computed anew."""

import json
import logging
import shutil

import numpy as np
import pytest
from PIL import Image

from ganrev.cli import main
from ganrev.configuration.configs import load_config
from ganrev.evaluation import runner, stages
from ganrev.evaluation.integrity import SUMS, DamagedError, find_damage, read_arrays, read_json, write_sums
from ganrev.evaluation.journal import Journal
from ganrev.evaluation.record import read_rows
from ganrev.evaluation.run_folder import RunFolder
from tests.calling import fails
from tests.tiny import compose_config

pytestmark = pytest.mark.usefixtures("quick_runs")
RECORD = ("rows.csv", "summary.json", "provenance.json", "config.yaml", "blobs/face0.png", SUMS)


@pytest.fixture(scope="module")
def made(two_pictures, tmp_path_factory, quick_runs):
    out = tmp_path_factory.mktemp("made")
    return runner.run(compose(two_pictures, out))


@pytest.fixture
def run(made, tmp_path):
    return RunFolder(shutil.copytree(made, tmp_path / "runs" / made.name))


def compose(pictures, out):
    return compose_config("codec=png", "data=folder", f"data.root={pictures}", f"out={out}")


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_what_was_written_is_whole(run):
    assert run.find_damage() == ""
    names = {line.split("  ")[1] for line in (run.path / SUMS).read_text().splitlines()}
    assert names == {*RECORD[:-1], "blobs/face1.png"}


@pytest.mark.parametrize("file", RECORD)
@pytest.mark.parametrize("harm", [flip, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_any_harm_is_noticed(run, file, harm):
    harm(run.path / file)
    if file == SUMS and not (run.path / file).exists():
        return  # then it is a run of an older version
    assert run.find_damage() if file != SUMS or (run.path / SUMS).read_bytes() else True


@pytest.mark.parametrize("file", ["rows.csv", "blobs/face1.png", "provenance.json"])
def test_a_damaged_run_is_named_set_aside_and_computed_anew(run, two_pictures, file, caplog):
    flip(run.path / file)
    caplog.set_level(logging.WARNING)
    again = runner.run(compose(two_pictures, run.path.parent))
    assert again == run.path
    assert run.find_damage() == ""
    assert f"{run} is damaged: " in caplog.text
    aside = run.path.with_name(f".{run.name}.damaged-1")
    assert f"kept as {aside}" in caplog.text
    assert aside.is_dir()


def test_a_summary_that_was_cut_short_in_an_old_run_is_noticed(run, two_pictures):
    (run.path / SUMS).unlink()
    summary = run.path / "summary.json"
    summary.write_bytes(summary.read_bytes()[:40])
    assert "summary.json is empty or damaged" in run.find_damage()
    runner.run(compose(two_pictures, run.path.parent))
    assert run.find_damage() == ""


def test_an_old_run_whose_rows_are_missing_is_noticed(run):
    (run.path / SUMS).unlink()
    rows = run.path / "rows.csv"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:2]))
    assert run.find_damage() == "summary.json: it speaks of other than 1 rows"


def test_a_list_names_a_damaged_record_and_has_no_trace(run, capsys, caplog):
    for name in ("summary.json", "config.yaml"):
        content = (run.path / name).read_bytes()
        (run.path / name).write_bytes(b"{\xff" + content)
        with pytest.raises(SystemExit):
            main(["runs", str(run.path.parent)])
        assert capsys.readouterr().err.startswith("error: there is no finished run")
        assert str(run.path / name) in caplog.text
        (run.path / name).write_bytes(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_no_object_is_damaged(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DamagedError, match=r"x\.json is"):
        read_json(tmp_path / "x.json")


def test_yaml_that_is_none_is_named(tmp_path):
    for content in (b"\xff\xfe", b"a: [", b"- 1", b"5", b"a: ${", b"\0"):
        (tmp_path / "x.yaml").write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.yaml"):
            load_config(tmp_path / "x.yaml")
    with pytest.raises(FileNotFoundError):
        load_config(tmp_path / "none.yaml")


def test_an_archive_that_would_take_gigabytes_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", zeros=np.zeros(50_000_000, np.uint8))
    with pytest.raises(DamagedError, match="it declares 50000128 bytes"):
        read_arrays(tmp_path / "x.npz")


def test_names_of_any_bytes_are_listed(tmp_path):
    odd = tmp_path / "caf\udce9"
    odd.write_bytes(b"x")
    write_sums(tmp_path, [odd], {})
    assert find_damage(tmp_path, [odd]) == ""
    odd.write_bytes(b"y")
    assert "is not what was written" in find_damage(tmp_path, [odd])


# ---- under way


@pytest.mark.parametrize("harm", [flip, lambda path: path.write_bytes(path.read_bytes()[:30])])
def test_a_damaged_journal_is_named_set_aside_and_its_batch_done_again(tmp_path, harm, caplog):
    journal = Journal(tmp_path, "encode")
    journal.keep(["a"], {"seconds": {"a": 1.0}}, {"losses": np.arange(100.0)})
    (path,) = (tmp_path / "encode").iterdir()
    harm(path)
    assert journal.find(["a"]) is None
    assert f"{path} is damaged: its batch is done again" in caplog.text
    assert path.with_suffix(".damaged").exists()
    with pytest.raises(DamagedError):
        read_arrays(path.with_suffix(".damaged"))


def test_a_file_that_is_not_what_the_journal_remembers_is_encoded_again(two_pictures, tmp_path, monkeypatch, caplog):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "decode_all", stop)
        with pytest.raises(KeyboardInterrupt):
            runner.run(compose(two_pictures, tmp_path))
    (partial,) = tmp_path.glob(".*.partial")
    flip(partial / "blobs" / "face1.png")
    folder = runner.run(compose(two_pictures, tmp_path))
    assert "the file of face1" in caplog.text
    assert RunFolder(folder).find_damage() == ""
    assert (RunFolder(folder).rows["psnr"] == np.inf).all()


def test_yaml_whose_aliases_multiply_is_refused_and_others_are_written_out(tmp_path):
    path = tmp_path / "x.yaml"
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"x\.yaml is damaged, or no YAML \(with its aliases written out"):
        load_config(path)
    path.write_text("a: &a {b: *a}")
    with pytest.raises(ValueError, match=r"x\.yaml is damaged"):
        load_config(path)
    path.write_text("a: &a {b: 1}\nc: {<<: *a}\nd: [*a, *a]")
    assert load_config(path) == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}


def test_rows_of_other_kinds_are_damaged(tmp_path):
    (tmp_path / "rows.csv").write_text("name,celeba_id,psnr\na,1.5,20\n")
    with pytest.raises(ValueError, match=r"rows\.csv is empty or damaged"):
        read_rows(tmp_path / "rows.csv")


def test_no_reader_takes_a_record_that_was_altered(run):
    rows = run.path / "rows.csv"
    rows.write_text(rows.read_text().replace(",inf,", ",50.0,"))
    with pytest.raises(
        ValueError, match=r"is damaged: .*its mean of psnr is inf, that of the rows 50; give the command"
    ):
        RunFolder.finished(run.path)


@pytest.mark.parametrize("left", [lambda line: False, lambda line: "rows.csv" not in line])
def test_a_list_of_sums_that_leaves_files_out_is_damaged(run, left):
    sums = run.path / SUMS
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if left(line)))
    assert f"{SUMS} does not list " in run.find_damage()


def edit_json(key, value):
    def harm(path):
        content = json.loads(path.read_text())
        *parents, last = key.split(".")
        inside = content
        for parent in parents:
            inside = inside[parent]
        inside[last] = value
        path.write_text(json.dumps(content))

    return harm


def replace(old, new):
    return lambda path: path.write_text(path.read_text().replace(old, new))


NONSENSE = [
    ("config.yaml", lambda path: path.write_text(""), "it names no codec"),
    ("config.yaml", lambda path: path.write_text("codec: {_target_: {a: 1}}\ndata: 3"), "unhashable type"),
    ("config.yaml", replace("baselines.PNG", "${nowhere}"), "nowhere"),
    ("provenance.json", lambda path: path.write_text('{"data": 3}'), "time is missing"),
    ("provenance.json", edit_json("time", 3), "time is 3, no str"),
    ("provenance.json", edit_json("commit", [1]), "commit is [1], no str"),
    ("provenance.json", edit_json("hardware", "fast"), "hardware is 'fast', no object"),
    ("summary.json", edit_json("mean", {}), "it has no mean of num_bytes"),
    ("summary.json", edit_json("mean.ssim", "good"), "mean.ssim is 'good', no float"),
    ("summary.json", edit_json("images_failed", None), "images_failed is None, no object"),
    ("summary.json", edit_json("image_size", True), "image_size is True, no int"),
    ("rows.csv", None, "num_bytes has other values than numbers"),
    ("rows.csv", replace("face1", "face0"), "the names of its pictures are not all different"),
    ("rows.csv", replace("face1", "../face1"), "no names of files"),
]


@pytest.mark.parametrize(("file", "harm", "told"), NONSENSE)
def test_nonsense_in_a_record_without_a_list_is_named_by_every_reader(run, file, harm, told, capsys, caplog):
    (run.path / SUMS).unlink()
    if harm is None:
        num_bytes = run.rows["num_bytes"][0]
        harm = replace(f",{num_bytes},", ",many,")
    harm(run.path / file)
    assert run.find_damage().startswith(f"{file}: ")
    assert told in run.find_damage()
    for command in (["report", run], ["compare", run, run], ["verify", run]):
        assert f"{run} is damaged: {file}: " in fails(capsys, *command)
    assert "there is no finished run" in fails(capsys, "runs", run.path.parent)
    assert f"{run} is left out: it is damaged: {file}: " in caplog.text


def test_a_list_names_no_files_elsewhere(run):
    with (run.path / SUMS).open("a") as file:
        file.write(f"{'0' * 64}  /dev/zero\n")
    assert run.find_damage() == f"{SUMS} is cut short or altered"


def test_a_decoded_picture_is_of_the_size_of_its_run(run):
    Image.new("1", (12_000, 12_000)).save(run.path / "decoded" / "face0.png")
    with pytest.raises(DamagedError, match=r"the decoded picture of face0 cannot be read \(.*\); repeat"):
        run.decoded("face0")
    Image.new("RGB", (64, 64)).save(run.path / "decoded" / "face0.png")
    with pytest.raises(DamagedError, match="it has 64 x 64 pixels, not 128 x 128"):
        run.decoded("face0")


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:99])])
def test_a_report_names_the_run_and_the_picture_that_cannot_be_read(run, tmp_path, harm, capsys):
    harm(run.path / "decoded" / "face1.png")
    complaint = fails(capsys, "report", run.path, "-o", tmp_path / "report.html")
    assert f"{run.path}: the decoded picture of face1 cannot be read (" in complaint
    assert complaint.endswith("repeat the run with force=true")
    assert not (tmp_path / "report.html").exists()
