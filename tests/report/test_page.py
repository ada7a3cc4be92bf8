"""What a report holds, read without a browser."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from ganrev.cli import main
from ganrev.evaluation.run_folder import RunFolder
from ganrev.report import compare_runs, read_reported, write_report
from ganrev.report.curves import group_curves
from ganrev.report.pictures import PixelStore, find_originals
from tests.tiny import smooth_images

ALL = ("jpeg1", "jpeg10", "kmeans", "png", "gan")


@pytest.fixture(scope="module")
def html(stored, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(stored.of(*ALL), path, [200]).read_text(encoding="utf-8")


def test_the_command_writes_one_file(stored, tmp_path, capsys):
    main(["report", *map(str, stored.of("jpeg1", "png")), "-o", str(tmp_path / "r.html"), "--at", "200,300"])
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'r.html'}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


@pytest.mark.parametrize("sizes", ["abc", "250;445"])
def test_sizes_are_numbers(sizes, capsys):
    with pytest.raises(SystemExit):
        main(["report", "somewhere", "--at", sizes])
    assert "expected sizes in bytes such as 250,445" in capsys.readouterr().err


def test_no_address_leads_out_of_the_file(html):
    used = re.findall(r'(?:src|href|action|url\()\s*=?\s*["\']?((?:https?:)?//[^"\')\s]+)', html)
    assert used == []
    assert "sourceMappingURL" not in html
    assert "@import" not in html


def test_licences_are_kept(html):
    for told in ("img-comparison-slider 8.0.7", "Dmitry Snisarenko", "tablesort 5.7.1", "Tristen Brown"):
        assert told in html
    assert html.count("Permission is hereby granted") == 2


def test_pictures_are_stored_exactly_and_once(html, stored):
    run = RunFolder(stored.runs["jpeg1"])
    found = {
        key: np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))
        for key, text in re.findall(r'id="pixels-(\w+)">([^<]+)<', html)
    }
    expected = run.decoded("drawn2").permute(1, 2, 0).numpy()
    assert any(np.array_equal(pixels, expected) for pixels in found.values())
    assert len(found) == 6 * 5  # the original is what PNG gives back


def test_the_papers_figures_stand_beside_ours(html):
    assert "JPEG, 10 %" in html
    assert re.search(r"<small>26\.161</small>", html)


def test_each_picture_and_codec_has_an_address(html):
    for anchor in ("drawn0", "drawn5/jpeg", "drawn5/jpeg-quality-1", "drawn3/png"):
        assert f'id="{anchor}"' in html
    for run in ("jpeg", "png", "kmeans"):
        assert f'id="run/{run}"' in html


def test_an_anchor_depends_on_no_other_run(stored):
    alone = {run.name: run.anchor for folder in stored.runs.values() for run in read_reported([folder])}
    assert {run.name: run.anchor for run in read_reported(stored.of(*ALL))} == alone


def test_a_run_given_twice_is_taken_once(stored):
    assert len(read_reported([*stored.of("png"), stored.runs["png"] / "."])) == 1


def test_no_warning_without_celeba(html):
    assert "may not be redistributed" not in html


def test_pictures_of_celeba_may_not_be_redistributed(stored, tmp_path):
    folder = tmp_path / "jpeg-0123456789ab"
    shutil.copytree(stored.runs["jpeg1"], folder)
    run = RunFolder(folder)
    run.write_rows(run.rows.assign(celeba_id=[None, 7, None, None, None, None]))
    run.write_summary(run.summary)  # with new sums
    text = write_report([folder], tmp_path / "r.html").read_text(encoding="utf-8")
    body = text[text.index("<body>") :]
    assert body.index("may not be redistributed") < body.index("<h1>")


def test_the_images_that_decide_are_linked(html, stored):
    deciding = {name for result in compare_runs(read_reported(stored.of(*ALL))) for name in result.deciding}
    assert deciding
    table = html[html.index('<section id="comparison">') :]
    table = table[: table.index("</section>")]
    assert set(re.findall(r'<a href="#([^"]+)">', table)) == deciding


def test_names_and_options_cannot_break_the_page(stored, tmp_path):
    folder = tmp_path / "jpeg-0123456789ab"
    shutil.copytree(stored.runs["jpeg1"], folder)
    config = OmegaConf.load(folder / "config.yaml")
    config.out = "</pre><script>alert(1)</script>"
    OmegaConf.save(config, folder / "config.yaml")
    RunFolder(folder).write_summary(RunFolder(folder).summary)  # with new sums
    assert "<script>alert" not in write_report([folder], tmp_path / "r.html").read_text(encoding="utf-8")


def test_originals_come_from_their_source(stored):
    originals, note = find_originals(read_reported(stored.of("jpeg1")))
    assert note == ""
    assert np.array_equal(
        originals["drawn1"].permute(1, 2, 0).numpy(), np.asarray(Image.open(stored.drawings / "drawn1.png"))
    )


def test_originals_that_are_gone_come_from_a_lossless_run(stored, tmp_path):
    folders = {scheme: tmp_path / stored.runs[scheme].name for scheme in ("jpeg1", "png")}
    for scheme, folder in folders.items():
        shutil.copytree(stored.runs[scheme], folder)
        text = (folder / "config.yaml").read_text().replace(str(stored.drawings), str(tmp_path / "gone"))
        (folder / "config.yaml").write_text(text)
        RunFolder(folder).write_summary(RunFolder(folder).summary)  # with new sums
    originals, note = find_originals(read_reported(list(folders.values())))
    assert (len(originals), note) == (6, "")
    originals, note = find_originals(read_reported([folders["jpeg1"]]))
    assert originals == {}
    assert "The originals are not at hand (data.root=" in note
    text = write_report([folders["jpeg1"]], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The originals are not at hand" in text
    assert 'data-label="original"' not in text


def test_a_source_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    seen = Path(__file__).parents[1] / "stored_runs" / "runs" / "jpeg-bcf6dfce469b"
    monkeypatch.chdir(tmp_path)  # where its generator does not lie
    text = write_report([seen], tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.search(r"The originals are not at hand \(.*generator\.pt", text)


def test_runs_on_other_pictures_stand_in_the_same_report(stored, others, tmp_path):
    folders = [*stored.of("jpeg1", "jpeg10"), *others.of("jpeg1", "png")]
    text = write_report(folders, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "The runs are on 2 sets of pictures" in text
    assert 'id="drawn0"' in text
    assert re.search(r'id="drawn0@[0-9a-f]{6}"', text)
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_runs_that_differ_in_one_option_are_one_curve(stored):
    runs = read_reported(stored.of(*ALL))
    curves = [[run.anchor for run in curve] for curve in group_curves(runs)]
    assert ["jpeg-quality-1", "jpeg"] in curves
    assert len(curves) == 4


def test_equal_pictures_are_kept_once():
    store = PixelStore()
    first, second = smooth_images(2)
    assert store.add(first) == store.add(first.clone()) != store.add(second)
    assert len(store.encoded) == 2


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(ValueError, match="is no finished run"):
        write_report([tmp_path], tmp_path / "r.html")


def test_stored_runs_of_an_earlier_version(tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    folders = sorted(Path("tests/stored_runs/runs").glob("[a-z]*"))
    text = write_report(folders, tmp_path / "r.html", [24]).read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert "is not compared with" in text  # a shard has but some of the pictures
