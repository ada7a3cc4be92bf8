"""A report in a real browser: Debian's chromium, driven by Playwright."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from ganrev.report import write_report
from tests.browser import start_browser

ALL = ("jpeg1", "jpeg10", "kmeans", "png", "gan")


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    with start_browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def report(stored, tmp_path_factory):
    """A report with files of equal size: of 480 bytes by JPEG and K-means."""
    return write_report(stored.of(*ALL), tmp_path_factory.mktemp("browser") / "report.html", [480])


@pytest.fixture
def open_page(browser, report):
    """Return a function that opens the report; afterwards, no error and no request may have come of it."""
    pages, complaints, requests = [], [], []

    def opened(address="", **options):
        page = browser.new_page(**{"viewport": {"width": 1200, "height": 900}} | options)
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{report.as_uri()}{address}")
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []
    assert {re.sub(r"#.*", "", url) for url in requests if not url.startswith("data:")} == {report.as_uri()}


def scroll_through(page):
    """Bring each picture near the window and wait until all are decoded."""
    while not page.evaluate("() => innerHeight + scrollY >= document.documentElement.scrollHeight - 1"):
        page.evaluate("() => scrollBy(0, 500)")
        page.wait_for_timeout(50)
    page.wait_for_function(
        "() => [...document.querySelectorAll('main img')].every((i) => i.complete && i.naturalWidth)"
    )


def test_every_image_loads(open_page):
    page = open_page()
    first = page.evaluate("() => [...document.querySelectorAll('article img')].filter((image) => image.src).length")
    total = page.locator("article .codecs img").count()
    assert total == 6 * (1 + len(ALL))
    scroll_through(page)
    sides = page.evaluate("() => [...document.querySelectorAll('article img')].map((image) => image.naturalWidth)")
    assert set(sides) == {128}
    assert first < len(sides)  # the others were unpacked when they came near
    smoothing = page.evaluate("() => getComputedStyle(document.querySelector('article img')).imageRendering")
    assert smoothing == "pixelated"


def test_the_slider_moves_by_mouse_and_keys(open_page):
    page = open_page("#drawn1")
    slider = page.locator("article[id=drawn1] img-comparison-slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20, steps=5)
    page.mouse.up()
    assert slider.evaluate("slider => slider.value") == pytest.approx(25, abs=1)
    assert slider.get_attribute("aria-valuenow") == "25"
    slider.focus()
    page.keyboard.down("ArrowRight")
    page.wait_for_timeout(200)
    page.keyboard.up("ArrowRight")
    assert slider.evaluate("slider => slider.value") > 26


def test_any_two_codecs_meet_in_the_slider(open_page):
    page = open_page("#drawn0")
    article = page.locator("article[id=drawn0]")
    article.locator("select.left").select_option(label="PNG")
    article.locator("select.right").select_option(label="JPEG, 1 %")
    shown = article.locator("img-comparison-slider img").evaluate_all("images => images.map((i) => i.alt)")
    assert shown == ["drawn0, PNG", "drawn0, JPEG, 1 %"]
    assert article.locator(".difference img").count() == 2
    page.locator("#all-left").select_option(label="JPEG, 10 %")
    assert article.locator("img-comparison-slider img").first.get_attribute("alt") == "drawn0, JPEG, 10 %"


def test_a_difference_of_equal_pictures_is_black(open_page):
    page = open_page("#drawn0")
    article = page.locator("article[id=drawn0]")
    article.locator("select.left").select_option(label="original")
    article.locator("select.right").select_option(label="PNG")
    assert brightest(article.locator(".difference"), page) == 0
    article.locator("select.right").select_option(label="JPEG, 1 %")
    assert brightest(article.locator(".difference"), page) > 20


def brightest(locator, page):
    """Return the largest sample of what a part of the page looks like."""
    page.wait_for_timeout(100)
    with Image.open(io.BytesIO(locator.screenshot())) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return int(pixels[8:-8, 8:-8].max())  # at its edge, the page may shine through


def test_files_of_equal_size_meet_in_the_slider(open_page):
    page = open_page("#equal-bytes")
    buttons = page.locator(".pairings button")
    assert buttons.count() > 0
    button = buttons.first
    wanted = [button.get_attribute("data-left"), button.get_attribute("data-right")]
    button.focus()
    page.keyboard.press("Enter")
    article = page.locator("article", has=page.locator(".pairings button")).first
    chosen = [article.locator(f"select.{side}").input_value() for side in ("left", "right")]
    assert chosen == wanted


@pytest.mark.parametrize("heading", ["bytes", "PSNR, dB"])
def test_sorting_sorts(open_page, heading):
    page = open_page()
    header = page.locator("#scores th", has_text=heading)
    place = header.evaluate("header => header.cellIndex")
    values = f"() => [...document.querySelectorAll('#scores tbody tr')].map((row) => +row.cells[{place}].dataset.sort)"
    header.focus()
    page.keyboard.press("Enter")
    assert page.evaluate(values) == sorted(page.evaluate(values))
    header.click()
    assert page.evaluate(values) == sorted(page.evaluate(values), reverse=True)


@pytest.mark.parametrize("address", ["#drawn4/jpeg-quality-1", "#drawn5", "#worst"])
def test_an_address_scrolls_there(open_page, address):
    page = open_page(address)
    page.wait_for_timeout(1000)
    place = page.evaluate(f"() => document.getElementById('{address[1:]}').getBoundingClientRect()")
    assert -1 <= place["top"] < 900
    assert page.evaluate("() => scrollY") > 0


def test_an_address_by_the_runs_id_leads_there_too(open_page, stored):
    page = open_page(f"#drawn5/{stored.runs['jpeg1'].name}")
    page.wait_for_timeout(1000)
    place = page.evaluate("() => document.getElementById('drawn5/jpeg-quality-1').getBoundingClientRect()")
    assert -1 <= place["top"] < 900


def test_config_and_provenance_are_one_click_away(open_page):
    page = open_page()
    page.locator("#scores tbody a", has_text="JPEG, 1 %").click()
    record = page.locator("details[id='run/jpeg-quality-1']")
    assert record.evaluate("details => details.open")
    assert "quality: 1" in record.inner_text()
    assert '"commit"' in record.inner_text()


def test_a_picture_is_enlarged_by_keys_alone(open_page):
    page = open_page("#drawn0")
    page.locator("article[id=drawn0] .picture").first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#enlarged")
    assert dialog.evaluate("dialog => dialog.open")
    image = dialog.locator("img")
    assert (image.bounding_box()["width"], image.get_attribute("alt")) == (4 * 128, "drawn0, original")
    page.keyboard.press("ArrowRight")
    assert image.get_attribute("alt") == "drawn0, JPEG, 1 %"
    page.keyboard.press("Escape")
    assert not dialog.evaluate("dialog => dialog.open")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes(open_page, scheme, tmp_path):
    page = open_page(color_scheme=scheme)
    page.screenshot(path=tmp_path / f"{scheme}.png")
    colours = page.evaluate("() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; }")
    paper, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in colours)
    assert (paper > 200 and ink < 60) if scheme == "light" else (paper < 60 and ink > 200)
    drawn = page.evaluate("() => getComputedStyle(document.querySelector('.curves svg text')).fill")
    assert drawn == colours[1]  # what curves are labelled with follows the theme


def test_a_phone_shows_it_without_scrolling_sideways(open_page):
    page = open_page(viewport={"width": 360, "height": 740})
    scroll_through(page)
    page.locator("#zoom").select_option("4")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
