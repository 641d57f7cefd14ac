"""The HTTP API: the routes of product.md section 5 that this version has, over TCP and over the Unix socket.

Rules: whoever may open the Unix socket (mode 0600) may do everything. Over TCP, /metrics, /-/* and the states of services are
open; logs and every write need the bearer token, and without a token file they are refused. Host and Origin are checked first.
"""

from __future__ import annotations

import hmac
import logging
import signal as signals
from collections.abc import Callable, Iterator
from typing import Any

from supervisor.config import HttpSettings
from supervisor.control.act import Action
from supervisor.control.choose import UnknownNameError, choose
from supervisor.control.daemon import Daemon
from supervisor.control.follow import tail_stream
from supervisor.control.origin import refusal
from supervisor.control.request import Request
from supervisor.control.response import Response, encoded, problem
from supervisor.control.router import Handler, Router
from supervisor.control.status import Usage, document
from supervisor.control.stream import Stream
from supervisor.core.events import Shutdown
from supervisor.core.model import UnitKey

log = logging.getLogger("respawnd.api")

#: Seconds that a command may be waited for when the caller does not say.
PATIENCE = 60.0
_LONGEST_PATIENCE = 3600.0


class RefusedError(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.response = problem(status, detail)


def routes(daemon: Daemon, http: HttpSettings) -> Router:
    """The table of routes of one daemon."""
    api = Api(daemon)
    guard = Guard(http)
    router = Router()

    def add(method: str, pattern: str, handler: Handler, *, token: bool = False, blocking: bool = True) -> None:
        router.add(method, pattern, guard.wrap(handler, token=token), blocking=blocking)

    add("GET", "/metrics", api.metrics)
    add("GET", "/-/healthy", api.healthy, blocking=False)
    add("GET", "/-/ready", api.ready, blocking=False)
    add("GET", "/", api.index, blocking=False)
    add("GET", "/api/v1/services", api.services)
    add("GET", "/api/v1/services/{name}", api.services)
    add("GET", "/api/v1/logs/{name}", api.logs, token=True)
    for verb in ("start", "stop", "restart"):
        add("POST", f"/api/v1/services/{{name}}/{verb}", api.command(verb), token=True)
    add("POST", "/api/v1/services/{name}/signal", api.signal, token=True)
    add("POST", "/api/v1/apply", api.apply, token=True)
    add("POST", "/api/v1/shutdown", api.shutdown, token=True)
    return router


class Guard:
    """Who may ask what."""

    def __init__(self, http: HttpSettings) -> None:
        self._allowed_hosts = http.allowed_hosts
        self._token_file = http.token_file

    def wrap(self, handler: Handler, *, token: bool) -> Handler:
        """`handler` behind the checks; what it refuses by RefusedError becomes an answer."""

        def guarded(request: Request) -> Response:
            foreign = refusal(request, self._allowed_hosts)
            if foreign is not None:
                return problem(403, foreign)
            denied = self._denied(request) if token and request.kind == "tcp" else None
            if denied is not None:
                return denied
            try:
                return handler(request)
            except RefusedError as refused:
                return refused.response

        return guarded

    def _denied(self, request: Request) -> Response | None:
        if not self._token_file:
            return problem(403, "cannot do this over TCP: no http.token_file is configured; use the Unix socket")
        try:
            with open(self._token_file, encoding="utf-8") as file:
                token = file.read().strip()
        except (OSError, UnicodeDecodeError) as error:
            return problem(503, f"cannot read http.token_file: {error}")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return None
        return problem(401, "cannot do this without the bearer token", (("www-authenticate", "Bearer"),))


class Api:
    """The handlers; each answers one request."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._usage = Usage()

    def metrics(self, request: Request) -> Response:
        """The exposition, as the scraper accepts it."""
        names = tuple(request.query.get("name[]", ()))
        accept, encoding = request.headers.get("accept", ""), request.headers.get("accept-encoding", "")
        body, headers = self._daemon.exposition(accept, encoding, names)
        return Response(200, body, headers)

    def healthy(self, request: Request) -> Response:
        """Whether the loop turns."""
        if self._daemon.alive():
            return Response.text("ok\n")
        return problem(503, "the loop has not turned for 10 s")

    def ready(self, request: Request) -> Response:
        """Whether boot is done and no shutdown under way."""
        view = self._daemon.view()
        if view.closing:
            return problem(503, "shutting down")
        return Response.text("ok\n") if view.booted else problem(503, "booting")

    def index(self, request: Request) -> Response:
        """Where to look."""
        about = self._daemon.about
        paths = "\n".join(("/metrics", "/-/healthy", "/-/ready", "/api/v1/services"))
        return Response.text(f"respawnd {about.version}, pid {about.pid}, {about.config}\n\n{paths}\n")

    def services(self, request: Request) -> Response:
        """States of all services, or of those that are named."""
        view = self._daemon.view()
        name = request.params.get("name")
        names = name.split(",") if name is not None else request.query.get("name", [])
        keys = self._keys(names) if names else tuple(view.units)
        return Response.json(document(self._daemon.about, view, keys, self._usage))

    def command(self, verb: str) -> Handler:
        """The handler of one of start, stop and restart."""

        def handler(request: Request) -> Response:
            keys = self._keys(request.params["name"].split(","))
            body = _body(request)
            action = Action(self._daemon, verb, keys)
            log.info("%s %s, asked by %s", verb, request.params["name"], request.peer)
            self._in_loop(action.take)
            if not body.get("wait", True):
                return Response.json({"accepted": [str(key) for key in keys]}, 202)
            return _lines(action.results(_patience(body)))

        return handler

    def signal(self, request: Request) -> Response:
        """Send a signal to main processes."""
        keys = self._keys(request.params["name"].split(","))
        number = _signal_number(_body(request).get("signal"))
        log.info("signal %d to %s, asked by %s", number, request.params["name"], request.peer)
        problems = self._in_loop(lambda: self._daemon.signal(keys, number))
        view = self._daemon.view()
        return _lines(
            {"unit": view.units[key].name, "ok": key not in problems, "text": problems.get(key, "sent")}
            for key in keys
            if key in view.units
        )

    def apply(self, request: Request) -> Response:
        """Read the configuration again and take it whole."""
        log.info("apply, asked by %s", request.peer)
        problems = self._in_loop(self._daemon.reload)
        return Response.json({"problems": list(problems)}, 409 if problems else 200)

    def shutdown(self, request: Request) -> Response:
        """Stop everything, then end the daemon."""
        hurry = bool(_body(request).get("hurry", False))
        log.info("shutdown, asked by %s", request.peer)
        self._in_loop(lambda: self._daemon.ask(lambda: Shutdown(hurry=hurry)))
        return Response.json({"accepted": True}, 202)

    def logs(self, request: Request) -> Response:
        """The end of a captured stream, and with `follow` what comes."""
        keys = self._keys([request.params["name"]])
        if len(keys) > 1:
            raise RefusedError(400, f"cannot show {len(keys)} logs at once: name one replica, as in {keys[0]}")
        stream = request.first("stream", "stdout")
        path = self._daemon.log_path(keys[0], stream) if stream in ("stdout", "stderr") else None
        if path is None:
            raise RefusedError(404, f"cannot show {stream} of {keys[0].service}: it is not captured to a file")
        lines = _whole(request.first("lines", "100"))
        body = Stream(tail_stream(path, lines, follow=request.first("follow") == "1"))
        return Response(200, body, (("content-type", "application/octet-stream"),))

    def _keys(self, names: list[str]) -> tuple[UnitKey, ...]:
        try:
            return choose(names, self._daemon.view().units, self._daemon.groups())
        except UnknownNameError as error:
            raise RefusedError(404, str(error)) from error

    def _in_loop(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except TimeoutError as error:
            raise RefusedError(504, str(error)) from error


def _lines(results: Iterator[dict[str, Any]]) -> Response:
    return Response(200, Stream.of(encoded(result) for result in results), (("content-type", "application/x-ndjson"),))


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    import json  # noqa: PLC0415 - a daemon that only serves /metrics never needs it

    try:
        value = json.loads(request.body)
    except ValueError as error:
        raise RefusedError(400, f"cannot read the body as JSON: {error}") from error
    if not isinstance(value, dict):
        raise RefusedError(400, "cannot use the body: it must be a JSON object")
    return value


def _patience(body: dict[str, Any]) -> float:
    value = body.get("timeout", PATIENCE)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LONGEST_PATIENCE:
        raise RefusedError(400, f"cannot wait {value!r} seconds: timeout is a number from 0 to {_LONGEST_PATIENCE:.0f}")
    return float(value)


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 7:
        raise RefusedError(400, f"cannot show {text!r} lines: a whole number is needed")
    return int(text)


def _signal_number(value: object) -> int:
    """A signal by number, or by name with or without SIG."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 64:
        return value
    if isinstance(value, str):
        name = value.upper()
        if name.isdecimal() and 1 <= int(name) <= 64:
            return int(name)
        found = getattr(signals, name if name.startswith("SIG") else f"SIG{name}", None)
        if isinstance(found, signals.Signals):
            return int(found)
    raise RefusedError(400, f"cannot send signal {value!r}: there is none of that name or number")
