"""What the page's addresses answer: sentences for mistakes, and nothing for strangers."""

import http.client
import json
import re
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from PIL import Image

from ganrev.alignment import Frame
from tests.demo.conftest import as_png, interrupted, served


@pytest.fixture
def ask(address):
    return asking(address)


def asking(address):
    """Return a function that asks a server: status, headers, and the answer, read where it is JSON."""

    def asked(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = response.headers.get("content-type") == "application/json"
        return response.status, response.headers, json.loads(content) if is_json else content

    return asked


def outcome_of(ask, name):
    _, _, events = ask("GET", f"/jobs/{name}/events")
    return [json.loads(line[6:]) for line in events.decode().splitlines() if line.startswith("data: ")]


def test_the_page_asks_for_nothing_from_elsewhere(ask):
    status, headers, page = ask("GET", "/")
    assert status == 200
    assert b"http" not in page
    assert headers["content-security-policy"].startswith("default-src 'self'")
    for name in ("demo.js", "demo.css"):
        assert ask("GET", f"/page/{name}")[0] == 200
    assert ask("GET", "/page/..%2f..%2fapp.py")[0] == 404


def test_a_photo_there_and_its_file_back(ask, photo):
    content, true = photo
    _, _, found = ask("POST", "/drop", content)
    assert (found["kind"], found["num_faces"], found["remarks"]) == ("photo", 1, [])
    assert true.error(Frame(**found["frame"])) < 3
    query = "&".join(f"{key}={value}" for key, value in found["frame"].items())
    assert ask("GET", f"/photos/{found['name']}/cut.png?{query}")[1]["content-type"] == "image/png"
    job = ask("POST", f"/photos/{found['name']}/jobs", json.dumps({"bytes": 200, "frame": found["frame"]}))[2]["name"]
    told = outcome_of(ask, job)
    assert told[-1]["state"] == "done"
    ways = told[-1]["outcome"]["ways"]
    assert [way["label"] for way in ways] == ["the face", "GAN reversal", "JPEG", "WebP", "AVIF"]
    assert ways[1]["num_bytes"] <= 200
    assert ways[2]["remark"].startswith("has no file that small; its smallest of this face has ")
    _, headers, blob = ask("GET", told[-1]["outcome"]["gr"])
    assert "face.gr" in headers["content-disposition"]
    opened = ask("POST", "/drop", blob)[2]
    assert opened == {"kind": "gr", "num_bytes": len(blob), "picture": ways[1]["picture"]}
    code = ask("GET", told[-1]["outcome"]["qr"])[2]
    assert ask("POST", "/drop", code)[2] == opened
    assert ask("POST", "/drop", blob[:-1])[2]["error"].startswith("the .gr file is truncated or altered")


def test_no_face_is_a_sentence_and_a_square(ask, detector):
    found = ask("POST", "/drop", as_png(Image.new("RGB", (400, 300), (20, 90, 40))))[2]
    assert found["frame"] == {"x": 200, "y": 150, "side": 300, "angle": 0}
    assert found["remarks"][0].startswith("no face was found: take a picture")
    assert found["remarks"][0].endswith("Or place the frame by hand")


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/drop", b"no picture", 400, "not a picture"),
        ("/drop", bytes(41_000_000), 400, "the file is too large: up to 40 MB are taken"),
        ("/photos/none/jobs", b'{"bytes": 250, "frame": {}}', 404, "no longer kept: drop it once more"),
        ("/jobs/none/stop", b"", 404, "no longer kept: compress it once more"),
    ],
)
def test_mistakes_are_sentences(ask, path, body, status, sentence):
    answered, _, told = ask("POST", path, body)
    assert answered == status
    assert sentence in told["error"]


def test_wishes_that_cannot_be(ask, photo):
    found = ask("POST", "/drop", photo[0])[2]
    for wish, sentence in (
        ({"bytes": "3"}, "a whole number of bytes, 16 to 100000"),
        ({"bytes": "many"}, "a whole number of bytes, 16 to 100000"),
        ({"quality": "ssim:2"}, "quality must be like ssim:0.72"),
        ({}, "expected frame and bytes or quality"),
    ):
        body = json.dumps(wish | {"frame": found["frame"]})
        assert sentence in ask("POST", f"/photos/{found['name']}/jobs", body)[2]["error"]
    for body in (b"[]", b"[" * 100_000, b"null"):
        assert "expected frame and bytes or quality" in ask("POST", f"/photos/{found['name']}/jobs", body)[2]["error"]
    lost = json.dumps({"bytes": 250, "frame": {"x": -5000, "y": 0, "side": 100, "angle": 0}})
    assert "does not touch the picture" in ask("POST", f"/photos/{found['name']}/jobs", lost)[2]["error"]


def test_a_face_that_is_not_there_leaves_the_photo_as_it_is(ask, photo):
    found = ask("POST", "/drop", photo[0])[2]
    for number, sentence in (("99", "there is no face 99: one face was found"), ("0", "there is no face 0")):
        status, _, told = ask("POST", f"/photos/{found['name']}/faces/{number}")
        assert (status, told["error"][: len(sentence)]) == (400, sentence)
    for number in ("left", "9" * 5000):
        status, _, told = ask("POST", f"/photos/{found['name']}/faces/{number}")
        assert status == 400
        assert told["error"].startswith("faces have whole numbers, from 1 at the left; got ")
        assert len(told["error"]) < 120
    again = ask("POST", f"/photos/{found['name']}/faces/1")[2]
    assert (again["name"], again["frame"]) == (found["name"], found["frame"])


def test_sentences_name_no_library(ask, photo):
    name = ask("POST", "/drop", photo[0])[2]["name"]
    place = {"x": 64, "y": 64, "side": 100, "angle": 0}
    mistakes = [
        ("POST", f"/photos/{name}/jobs", json.dumps(asked))
        for asked in (
            {"bytes": 250, "frame": None},
            {"bytes": 250, "frame": "here"},
            {"bytes": 250, "frame": place | {"x": float("nan")}},
            {"bytes": "9" * 5000, "frame": place},
            {"quality": "x" * 5000, "frame": place},
            {"bytes": 250, "quality": "ssim:0.5", "frame": place},
        )
    ]
    mistakes += [("POST", f"/photos/{name}/jobs", body) for body in (b"1" * 5000, b"no JSON", b"")]
    mistakes += [("POST", "/drop", body) for body in (b"no picture", photo[0][:30], photo[0][: len(photo[0]) // 2])]
    mistakes += [("GET", f"/photos/{name}/cut.png?x=64&y=64&side=0&angle=0", None), ("GET", "/nowhere", None)]
    mistakes += [("GET", "/drop", None), ("POST", "/drop", b"")]
    for method, path, body in mistakes:
        status, _, told = ask(method, path, body)
        assert 400 <= status < 500
        words = re.findall(
            "NoneType|Pillow|Frame\\(|line 1|indices|integer string|file is truncated|Read", told["error"]
        )
        assert words == [], told["error"]
        assert 20 <= len(told["error"]) < 160 or told["error"] == "the file is empty"


def test_only_the_page_itself_may_ask(ask):
    assert ask("POST", "/drop", b"x", Origin="http://elsewhere.example")[0] == 403
    assert ask("GET", "/", Host="elsewhere.example")[0] == 400


def test_it_listens_on_this_machine_alone(address):
    assert urlsplit(address).hostname == "127.0.0.1"


def test_ctrl_c_ends_at_once_while_a_job_is_watched(photo):
    with served("device=cpu") as (server, address):
        ask = asking(address)
        name = ask("POST", "/drop", photo[0])[2]["name"]
        place = {"x": 64, "y": 64, "side": 100, "angle": 0}
        job = ask("POST", f"/photos/{name}/jobs", json.dumps({"bytes": 250, "frame": place}))[2]["name"]
        with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)) as watching:
            watching.request("GET", f"/jobs/{job}/events")
            events = watching.getresponse()
            while b'"preview"' not in events.readline():  # the thread is at work, in native code
                pass
            assert interrupted(server) == (0, "\nthe page is closed\n")
            last = events.read().decode().split("data: ")[-1]
    assert json.loads(last) == {"state": "failed", "error": "the server was stopped: start it once more"}


def test_an_upload_that_breaks_off_is_no_fault(address, ask):
    netloc = urlsplit(address)
    with socket.create_connection((netloc.hostname, netloc.port)) as uploading:
        head = f"POST /drop HTTP/1.1\r\nHost: {netloc.netloc}\r\nContent-Length: 1000\r\n\r\n"
        uploading.sendall(head.encode() + b"a part")
    assert ask("GET", "/")[0] == 200  # and the server's fixture sees that nothing was printed
