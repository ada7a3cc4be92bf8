"""The page as a web application: what its script asks for, and what it answers."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ganrev.api import load_codec
from ganrev.coding import container
from ganrev.data import decode_picture
from ganrev.demo.asked import body_of, face_of, frame_of, job_of
from ganrev.demo.jobs import Job, Jobs, own_fault
from ganrev.demo.photos import Photo, Photos, find_in
from ganrev.demo.work import Outcome, Shown, compress, decompress
from ganrev.errors import users_mistake
from ganrev.pixels import from_pillow, to_png
from ganrev.qr import MOST_BYTES, from_qr, to_qr

_PAGE = Path(__file__).parent / "page"
_KINDS = {"demo.html": "text/html", "demo.css": "text/css", "demo.js": "text/javascript"}
_SECONDS_BETWEEN = 0.2  # looks at a job under way
_ENDED = "the server was stopped: start it once more"
_MOST_PSNR = 99.0  # dB; JSON has no infinite numbers
_HEADERS = {  # the page needs nothing from elsewhere, and no other page may show it
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class MissingError(ValueError):
    """Something is not there, or no more."""


class Page:
    """All that the page's addresses answer with.

    Args:
        overrides: options of the codec, in Hydra's grammar.
    """

    def __init__(self, overrides: Sequence[str]) -> None:
        self.overrides = list(overrides)
        codec = load_codec("gan_auto", "codec.target_bytes=250", *overrides)  # a mistake in them is told at once
        if codec.image_size is None:
            raise ValueError("the page needs a codec whose pictures have one size")
        self.image_size = codec.image_size
        self.photos = Photos()
        self.jobs = Jobs(lambda image, wish, show: compress(image, wish, self.overrides, show))

    async def drop(self, request: Request) -> Response:
        """Take a file of any kind: a photo, a `.gr` file, or a picture of one's QR code."""
        content = await body_of(request)
        return JSONResponse(await run_in_threadpool(self._take, content))

    def _take(self, content: bytes) -> dict[str, object]:
        blob = _gr_in(content)
        if blob is not None:
            return self._opened(blob)
        picture = decode_picture(content)
        blob = _gr_of_qr(picture)
        if blob is not None:
            return self._opened(blob)
        return {"kind": "photo", **self.photos.keep(find_in(picture)).described()}

    def _opened(self, blob: bytes) -> dict[str, object]:
        picture = decompress(blob, self.overrides)
        return {"kind": "gr", "num_bytes": len(blob), "picture": _data_url(to_png(picture))}

    async def photo(self, request: Request) -> Response:
        """Show a photo."""
        shown = await run_in_threadpool(self._photo(request).shown)
        return Response(shown, media_type="image/jpeg")

    async def face(self, request: Request) -> Response:
        """Find another of a photo's faces, by its number."""
        photo, number = self._photo(request), face_of(request.path_params["number"])
        found = await run_in_threadpool(find_in, photo.picture, number, photo.name)
        return JSONResponse(self.photos.keep(found).described())

    async def cut(self, request: Request) -> Response:
        """Show what a frame would cut out of a photo."""
        photo, frame = self._photo(request), frame_of(request.query_params)
        picture = await run_in_threadpool(frame.cut, photo.picture, self.image_size)
        return Response(to_png(from_pillow(picture)), media_type="image/png")

    async def add_job(self, request: Request) -> Response:
        """Put a face into the row."""
        photo, (wish, frame) = self._photo(request), job_of(await body_of(request))
        picture = await run_in_threadpool(frame.cut, photo.picture, self.image_size)
        return JSONResponse({"name": self.jobs.add(from_pillow(picture), wish).name})

    async def watch(self, request: Request) -> Response:
        """Tell how a job goes on, as server-sent events."""
        is_ending = request.app.state.is_ending
        return StreamingResponse(self._events(self._job(request), is_ending), media_type="text/event-stream")

    async def _events(self, job: Job, is_ending: Callable[[], bool]) -> AsyncIterator[str]:
        told = None
        while not is_ending():  # the server waits for answers under way, and this one would go on
            ahead = self.jobs.num_ahead(job) if job.state == "waiting" else 0
            state = (job.state, job.num_drawn, ahead)
            if state != told:
                told = state
                yield f"data: {json.dumps(_progress(job, ahead))}\n\n"
            if state[0] in ("done", "failed", "stopped"):
                return
            await asyncio.sleep(_SECONDS_BETWEEN)
        yield f"data: {json.dumps({'state': 'failed', 'error': _ENDED})}\n\n"

    async def stop(self, request: Request) -> Response:
        """End a job that is no longer wanted."""
        self.jobs.stop(self._job(request))
        return JSONResponse({})

    async def download(self, request: Request) -> Response:
        """Give away the file that a job made, its picture, or its QR code."""
        kind, job = request.path_params["kind"], self._job(request)
        outcome = job.outcome
        if outcome is None:
            raise MissingError("this face is not compressed yet")
        if kind == "face.gr":
            return _attachment(outcome.blob, kind, "application/octet-stream")
        if kind == "face-qr.png":
            return _attachment(to_qr(outcome.blob), kind, "image/png")
        raise MissingError(f"there is no {kind}")

    def _photo(self, request: Request) -> Photo:
        photo = self.photos.find(request.path_params["name"])
        if photo is None:
            raise MissingError("this photo is no longer kept: drop it once more")
        return photo

    def _job(self, request: Request) -> Job:
        job = self.jobs.find(request.path_params["name"])
        if job is None:
            raise MissingError("this face is no longer kept: compress it once more")
        return job


def make_app(overrides: Sequence[str] = ()) -> Starlette:
    """Return the page as a web application.

    Args:
        overrides: options of the codec, in Hydra's grammar, such as `device=cpu`.

    Raises:
        ValueError: an option cannot be used.
    """
    page = Page(overrides)
    routes = [
        Route("/", lambda request: _static("demo.html")),
        Route("/page/{name}", lambda request: _static(request.path_params["name"])),
        Route("/drop", _guarded(page.drop), methods=["POST"]),
        Route("/photos/{name}/shown.jpg", _guarded(page.photo)),
        Route("/photos/{name}/cut.png", _guarded(page.cut)),
        Route("/photos/{name}/faces/{number}", _guarded(page.face), methods=["POST"]),
        Route("/photos/{name}/jobs", _guarded(page.add_job), methods=["POST"]),
        Route("/jobs/{name}/events", _guarded(page.watch)),
        Route("/jobs/{name}/stop", _guarded(page.stop), methods=["POST"]),
        Route("/jobs/{name}/{kind}", _guarded(page.download)),
    ]
    # A page elsewhere could otherwise reach this one under a name of its own.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    app = Starlette(routes=routes, middleware=[hosts], exception_handlers={HTTPException: _nothing_there})
    app.state.is_ending = lambda: False  # whoever serves it knows
    return app


async def _nothing_there(request: Request, error: Exception) -> Response:
    """Answer an address, or a way to ask for it, that the page does not have."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return JSONResponse({"error": f"the page has nothing for {request.method} {request.url.path[:100]}"}, status)


def _guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn mistakes into sentences, and refuse what pages of other origins send."""

    async def guarded(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin not in (None, f"http://{request.headers.get('host')}"):
            return JSONResponse({"error": "only the page itself may ask for this"}, 403)
        try:
            response = await answer(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except asyncio.CancelledError:
            if not request.app.state.is_ending():
                raise
            return JSONResponse({"error": _ENDED}, 503)
        except Exception as error:
            sentence = users_mistake(error)
            if sentence is None:
                return JSONResponse({"error": own_fault(error)}, 500)
            return JSONResponse({"error": sentence}, 404 if isinstance(error, MissingError) else 400)
        response.headers.update(_HEADERS)
        return response

    return guarded


def _static(name: str) -> Response:
    if name not in _KINDS:
        return JSONResponse({"error": f"there is no {name}"}, 404)
    return Response((_PAGE / name).read_bytes(), media_type=_KINDS[name], headers=_HEADERS)


def _gr_in(content: bytes) -> bytes | None:
    """Return a file if it is a `.gr` file; ValueError where it is one and damaged."""
    try:
        container.read(content)
    except container.NotAContainerError:
        return None
    return content


def _gr_of_qr(picture: Image.Image) -> bytes | None:
    """Return the `.gr` file that a picture's QR code holds; None for a picture without one."""
    try:
        return _gr_in(from_qr(picture, container.MAGIC))
    except ValueError:  # no code, several, or a damaged file: it is taken for a photo
        return None


def _progress(job: Job, ahead: int) -> dict[str, object]:
    told: dict[str, object] = {"state": job.state, "drawn": job.num_drawn, "ahead": ahead, "error": job.error}
    if job.preview:
        told["preview"] = _data_url(job.preview)
    if job.outcome is not None and job.state == "done":
        told["outcome"] = _described(job, job.outcome)
    return told


def _described(job: Job, outcome: Outcome) -> dict[str, object]:
    original = {"label": "the face", "picture": _data_url(to_png(job.image)), "remark": ""}
    address = f"/jobs/{job.name}"
    return {
        "num_bytes": len(outcome.blob),
        "seconds": outcome.seconds,
        "ways": [original, *map(_way, outcome.ways)],
        "gr": f"{address}/face.gr",
        "qr": f"{address}/face-qr.png" if len(outcome.blob) <= MOST_BYTES else None,
    }


def _way(shown: Shown) -> dict[str, object]:
    picture = None if shown.picture is None else _data_url(to_png(shown.picture))
    return {
        "label": shown.label,
        "num_bytes": shown.num_bytes,
        "picture": picture,
        "remark": shown.remark,
        **{key: round(min(value, _MOST_PSNR), 4) for key, value in shown.scores.items()},
    }


def _attachment(content: bytes, name: str, kind: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
