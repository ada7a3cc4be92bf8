"""The page in a real browser, from a photo to a file and back, by mouse and by keys."""

import os
import re

import pytest
from PIL import Image

from ganrev.alignment import Frame
from tests.browser import start_browser
from tests.demo.conftest import as_png


@pytest.fixture(scope="module")
def browser():
    with start_browser() as chromium:
        yield chromium


@pytest.fixture
def page(browser, address):
    """A page; afterwards, no error and no request to elsewhere may have come of it."""
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    complaints, requests = [], []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(address)
    yield opened
    opened.close()
    assert complaints == []
    assert all(url.startswith((address, "data:", "blob:")) for url in requests)


def choose(page, content, name="photo.png"):
    page.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def frame_of(page):
    return Frame(**{key: float(page.locator(f"#{key}").input_value()) for key in ("x", "y", "side", "angle")})


def until_cut(page):
    page.wait_for_function("() => document.getElementById('cut').naturalWidth === 128")


def drop(page, content, name):
    """Drop a file on the page as a mouse would."""
    page.evaluate(
        """([bytes, name]) => {
          const dropped = new DataTransfer();
          dropped.items.add(new File([new Uint8Array(bytes)], name));
          document.getElementById("drop").dispatchEvent(
            new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
        }""",
        [list(content), name],
    )


def compress(page):
    page.locator("#compress").click()
    page.locator("#result").wait_for(timeout=120_000)


def keep(page, name):
    """Photograph the page where $GANREV_SCREENSHOTS names a folder, to be looked at."""
    if os.environ.get("GANREV_SCREENSHOTS"):
        page.screenshot(path=f"{os.environ['GANREV_SCREENSHOTS']}/{name}.png", full_page=True)


def test_from_a_photo_to_a_file_and_back(page, photo, tmp_path):
    content, true = photo
    choose(page, content)
    page.locator("#adjust").wait_for()
    until_cut(page)
    assert true.error(frame_of(page)) < 3
    keep(page, "found")
    page.locator("#bytes").fill("200")
    compress(page)
    keep(page, "result")
    assert page.locator("#error").is_hidden()
    labels = page.locator("#ways figcaption b").all_inner_texts()
    assert labels == ["the face", "GAN reversal", "JPEG", "WebP", "AVIF"]
    assert "has no file that small" in page.locator("#ways .none").first.inner_text()
    page.wait_for_function("() => document.getElementById('code').naturalWidth > 0")
    assert page.evaluate("() => document.activeElement.id") == "result-title"
    with page.expect_download() as downloading:
        page.locator("#gr").click()
    path = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(path)
    assert path.suffix == ".gr"
    assert path.stat().st_size <= 200
    drop(page, path.read_bytes(), "face.gr")
    page.locator("#opened").wait_for()
    assert page.locator("#opened-size").inner_text() == f"{path.stat().st_size} bytes"
    same = "() => document.getElementById('opened-picture').src === document.querySelectorAll('#ways img')[1].src"
    assert page.evaluate(same)
    assert page.locator("#adjust").is_hidden()


def test_the_reversal_is_watched_and_stopped(page, photo):
    choose(page, photo[0])
    page.locator("#adjust").wait_for()
    page.locator("input[value=quality]").check()
    compress_button = page.locator("#compress")
    compress_button.click()
    page.locator("#preview").wait_for(timeout=60_000)
    assert re.search(r"drawn so far: \d+", page.locator("#state").inner_text())
    keep(page, "watching")
    page.locator("#stop").click()
    page.wait_for_function("() => !document.getElementById('compress').disabled", timeout=60_000)
    assert page.locator("#error").is_hidden()


def test_the_frame_is_moved_by_keys_by_mouse_and_by_sliders(page, photo):
    choose(page, photo[0])
    page.locator("#adjust").wait_for()
    until_cut(page)
    found = frame_of(page)
    page.locator("#photo").focus()
    for key in ("ArrowRight", "ArrowDown", "+", "."):
        page.keyboard.press(key)
    moved = frame_of(page)
    assert moved.x > found.x
    assert moved.y > found.y
    assert moved.side == pytest.approx(1.02 * found.side, rel=1e-3)
    assert moved.angle == pytest.approx(found.angle + 1, abs=0.6)
    box = page.locator("#photo").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] + 50, steps=3)
    page.mouse.up()
    assert frame_of(page).x > moved.x
    page.locator("#angle").fill("10")
    assert frame_of(page).angle == 10
    page.wait_for_function("() => document.getElementById('cut').dataset.frame.endsWith('angle=10')")
    page.locator("#reset").click()
    assert found.error(frame_of(page)) < 1


def test_a_face_is_chosen_among_several(page, drawn_faces):
    photo = Image.new("RGB", (600, 300), (110, 120, 130))
    for number, face in enumerate(drawn_faces[:2]):
        photo.paste(face.resize((150 - 20 * number,) * 2), (300 * number + 70, 70))
    choose(page, as_png(photo))
    page.locator("#remarks li", has_text="2 faces were found").wait_for()
    assert frame_of(page).x < 300
    page.locator("#face").select_option("2")
    page.wait_for_function("() => Number(document.getElementById('x').value) > 300")
    keep(page, "several")


def test_mistakes_are_sentences_on_the_page(page, detector):
    choose(page, b"no picture at all")
    page.locator("#error", has_text="not a picture").wait_for()
    keep(page, "mistake")
    choose(page, as_png(Image.new("RGB", (300, 200), (10, 90, 30))))
    page.locator("#remarks li", has_text="No face was found").wait_for()
    assert page.locator("#error").is_hidden()


def test_a_pasted_picture(page, photo):
    page.evaluate(
        """(bytes) => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }""",
        list(photo[0]),
    )
    page.locator("#adjust").wait_for()
    assert page.locator("#error").is_hidden()


def test_by_keys_alone(page, photo):
    choose(page, photo[0])  # what the button opens is the system's window
    page.locator("#adjust").wait_for()
    reached = []
    page.locator("#file").focus()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.id || document.activeElement.value"))
    assert {"photo", "x", "y", "side", "angle", "reset", "bytes", "compress"} <= set(reached)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_at_a_phones_width(browser, address, photo, scheme):
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.goto(address)
    choose(page, photo[0])
    page.locator("#adjust").wait_for()
    until_cut(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    colours = page.evaluate("() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; }")
    paper, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) / 3 for colour in colours)
    assert (paper > 200 and ink < 60) if scheme == "light" else (paper < 60 and ink > 200)
    page.locator("#bytes").fill("200")
    compress(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    keep(page, scheme)
    page.close()
