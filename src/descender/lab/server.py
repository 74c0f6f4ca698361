"""The server of the lab: for this computer alone, and for no page but its own."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from descender.errors import DescenderError, OptionError
from descender.lab.answers import QUESTIONS, Respond, refusal, to_json
from descender.lab.uploads import LARGEST, Uploads
from descender.lab.workers import Answer, Workers

HOST, PORT = "127.0.0.1", 8765
NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a browser may call this computer; any other name was pointed here by somebody else."""
QUESTION = 256 * 1024
"""Bytes of a question."""
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
Ask = Callable[[str, Any, object], Answer]


class TooLargeError(Exception):
    """A request has more bytes than it may have."""


def create_app(ask: Ask, folder: Path, uploads: Uploads | None = None, ends: Callable[[], None] = lambda: None) -> Any:
    """The application: `ask` answers questions, `folder` is for dropped files, `ends` is called at the end."""
    kept = uploads or Uploads(folder)

    async def question(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in QUESTIONS:
            return _error(404, f"there is no question {name[:40]!r}; known: {', '.join(QUESTIONS)}")
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            return _error(415, "a question is sent as application/json")
        try:
            given = json.loads(await _body(request, QUESTION))
        except (ValueError, RecursionError):
            return _error(400, "the question is no JSON")
        answer = await run_in_threadpool(ask, name, given, _key(given))
        headers = {"Content-Disposition": f'attachment; filename="{answer.file}"'} if answer.file else {}
        return Response(answer.body, answer.status, headers, answer.type)

    async def upload(request: Request) -> Response:
        name = request.headers.get("x-file-name", "data.csv")[-200:]
        content = await _body(request, LARGEST)
        try:
            stored = await run_in_threadpool(kept.keep, content, name)
        except DescenderError as error:
            return Response(refusal(str(error)).body, media_type="application/json")
        answer = await run_in_threadpool(ask, "table", {"data": stored}, stored)
        return Response(answer.body, answer.status, media_type=answer.type)

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        ends()

    routes = [
        Route("/", _index),
        Route("/static/{name}", _static),
        Route("/plotly.js", _plotly("cartesian")),
        Route("/plotly-in-space.js", _plotly("gl3d")),
        Route("/catalogue", _catalogue),
        Route("/ask/{name}", question, methods=["POST"]),
        Route("/data", upload, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard)], lifespan=lifespan)


class Guard:
    """Refuses who is not this computer's own page, and tells browsers what the page may do.

    A page elsewhere may have its name point to 127.0.0.1 (its requests then name a foreign Host), or send requests
    across (a foreign Origin): neither gets an answer.
    """

    def __init__(self, app: Any):
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what is ours, with the headers that keep the page to itself."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
        why = refused(headers.get(b"host", ""), headers.get(b"origin"), headers.get(b"sec-fetch-site"))

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_policy()]
            await send(message)

        if why:
            await _error(403, why)(scope, receive, guarded)
            return
        try:
            await self.app(scope, receive, guarded)
        except TooLargeError as error:
            await _error(413, str(error))(scope, receive, guarded)
        except ClientDisconnect:
            pass


def refused(host: str, origin: str | None, site: str | None) -> str | None:
    """Why a request is not answered, by its headers; None if it is.

    >>> refused("127.0.0.1:8765", None, None), refused("localhost:1", "http://localhost:1", "same-origin")
    (None, None)
    >>> refused("evil.example:8765", None, None)
    'the lab answers this computer only, by the names 127.0.0.1, localhost, [::1]'
    >>> refused("127.0.0.1:8765", "http://evil.example", None)
    'the lab answers its own page only'
    """
    if re.sub(r":\d{1,5}$", "", host) not in NAMES:
        return f"the lab answers this computer only, by the names {', '.join(NAMES)}"
    if origin is not None and origin != f"http://{host}":
        return "the lab answers its own page only"
    if site not in (None, "same-origin", "none"):
        return "the lab answers its own page only"
    return None


_POLICY: list[tuple[bytes, bytes]] = []


def _policy() -> list[tuple[bytes, bytes]]:
    """The headers of every answer: scripts of this server alone, nothing from anywhere else."""
    if not _POLICY:
        from descender.lab.exports import static

        maps = re.findall(r'<script type="importmap">(.*?)</script>', static("index.html").decode(), re.DOTALL)
        marks = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(m.encode()).digest()).decode()}'" for m in maps)
        rules = {
            "default-src": "'none'", "script-src": f"'self' {marks}", "style-src": "'self' 'unsafe-inline'",
            "img-src": "'self' data: blob:", "connect-src": "'self'", "font-src": "'self' data:", "base-uri": "'none'",
            "form-action": "'none'", "frame-ancestors": "'none'",
        }  # fmt: skip
        lines = {
            "Content-Security-Policy": "; ".join(f"{name} {rule}" for name, rule in rules.items()),
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
            "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
        }  # fmt: skip
        _POLICY.extend((name.lower().encode(), value.encode()) for name, value in lines.items())
    return _POLICY


async def _body(request: Request, most: int) -> bytes:
    """The body, refused as soon as it is too large."""
    told = request.headers.get("content-length", "0")
    body = bytearray()
    if not told.isdigit() or int(told) > most:
        raise TooLargeError(f"a request has at most {most:,} bytes here")
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise TooLargeError(f"a request has at most {most:,} bytes here")
    return bytes(body)


def _key(given: Any) -> object:
    """What the cost of a question is made of, as far as it tells: who answered about it last knows it."""
    parts = ("cost", "data", "target", "model", "features", "scale")
    return json.dumps([given.get(part) for part in parts]) if isinstance(given, dict) else None


def _error(status: int, text: str) -> Response:
    return Response(to_json({"error": text}), status, media_type="application/json")


def _file(request: Request, name: str, content: bytes) -> Response:
    mark = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": mark}
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=TYPES[Path(name).suffix])


async def _index(request: Request) -> Response:
    from descender.lab.exports import static

    return _file(request, "index.html", static("index.html"))


async def _static(request: Request) -> Response:
    from descender.lab.exports import static

    name = request.path_params["name"]
    if not re.fullmatch(r"[a-z]+\.(js|css|svg)", name):
        return _error(404, "there is no such file")
    try:
        return _file(request, name, static(name))
    except FileNotFoundError:
        return _error(404, "there is no such file")


def _plotly(part: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        from descender.pictures.page import plotly_script

        return _file(request, "plotly.js", (await run_in_threadpool(plotly_script, part)).encode())

    return answer


async def _catalogue(_: Request) -> Response:
    from descender.lab.catalogue import catalogue

    return Response(to_json(await run_in_threadpool(catalogue)), media_type="application/json")


def open_port(port: int | None) -> socket.socket:
    """A socket on this computer: on the port that was asked for, else on the usual one or any that is free.

    Raises :class:`~descender.errors.OptionError` for a port that is taken.
    """
    for number in (PORT, 0) if port is None else (port,):
        line = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            line.bind((HOST, number))
            return line
        except (OSError, OverflowError) as error:
            line.close()
            if port is not None or number == 0:
                raise OptionError(f"port={number}: {error}; another one, or 0 for any that is free") from None
    raise AssertionError


def serve(line: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve the lab on a socket until Ctrl-C; `ready` is called with its address."""
    import uvicorn

    address = f"http://{HOST}:{line.getsockname()[1]}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready(address)

        async def shutdown(self, sockets: Any = None) -> None:
            await run_in_threadpool(workers.close)  # questions that are being answered end, and nobody waits for them
            await super().shutdown(sockets)

    with tempfile.TemporaryDirectory(prefix="descender-lab-") as folder:
        workers = Workers(Respond(folder))
        try:
            app = create_app(workers.ask, Path(folder))
            config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
            with contextlib.suppress(KeyboardInterrupt):
                Server(config).run(sockets=[line])
        finally:
            workers.close()
            line.close()
