"""The HTTP API: the routes of docs/api.md, over TCP and over the Unix socket.

Rules: nothing is decided here: a handler takes a request apart, asks the daemon, and words the answer. What blocks runs
on a worker, what follows something on a thread of its own. Who may ask is `guard`'s affair, before any of this.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from supervisor.config.quantity import format_signal
from supervisor.control import body, discovery
from supervisor.control.act import EVENTS, Action, ClosingError, Line, line
from supervisor.control.body import RefusedError
from supervisor.control.caller import origin
from supervisor.control.choose import UnknownNameError, choose
from supervisor.control.daemon import Daemon
from supervisor.control.follow import MOST, Voice, obstacle, output
from supervisor.control.request import Request
from supervisor.control.response import Response, encoded, problem
from supervisor.control.router import Handler, Router
from supervisor.control.status import document
from supervisor.control.stream import Stream
from supervisor.core.events import Shutdown
from supervisor.core.model import UnitKey

log = logging.getLogger("respawnd.api")

T = TypeVar("T")

_NDJSON = (("content-type", "application/x-ndjson"),)
#: Never a type that a browser would show: a service writes what it likes.
_BYTES = (("content-type", "application/octet-stream"), ("x-content-type-options", "nosniff"))
_STREAMS = ("both", "stdout", "stderr")
_PATHS = ("/metrics", "/-/healthy", "/-/ready", "/sd", "/api/v1/services")
#: Seconds as Prometheus writes them; a scraper that says it waits longer than `_LONGEST_BUDGET` means something else.
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LONGEST_BUDGET = 3600.0


def routes(daemon: Daemon) -> Router:
    """The table of routes of one daemon."""
    api = Api(daemon)
    router = Router()

    def add(method: str, pattern: str, handler: Handler, *, blocking: bool = True) -> None:
        router.add(method, pattern, _answering(handler), blocking=blocking)

    add("GET", "/", api.index, blocking=False)
    add("GET", "/metrics", api.metrics)
    add("GET", "/-/healthy", api.healthy, blocking=False)
    add("GET", "/-/ready", api.ready, blocking=False)
    add("GET", "/sd", api.discovery)
    add("GET", "/api/v1/services", api.services)
    add("GET", "/api/v1/services/{name}", api.services)
    add("GET", "/api/v1/logs/{name}", api.logs)
    for verb in EVENTS:
        add("POST", f"/api/v1/services/{{name}}/{verb}", api.command(verb))
    add("POST", "/api/v1/services/{name}/signal", api.signal)
    add("POST", "/api/v1/apply", api.apply)
    add("POST", "/api/v1/shutdown", api.shutdown)
    return router


def _answering(handler: Handler) -> Handler:
    """`handler`, with what it refuses made an answer."""

    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except RefusedError as refused:
            return refused.response

    return answer


class Api:
    """The handlers; each answers one request."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    # --- reads --------------------------------------------------------------------------------------------------------

    def index(self, request: Request) -> Response:
        """Where to look."""
        about = self._daemon.about
        return Response.text("\n".join([f"respawnd {about.version}, pid {about.pid}, {about.config}", "", *_PATHS, ""]))

    def metrics(self, request: Request) -> Response:
        """The exposition, as the scraper accepts it."""
        names = tuple(request.query.get("name[]", ()))
        accept, encoding = request.headers.get("accept", ""), request.headers.get("accept-encoding", "")
        page, headers = self._daemon.exposition(accept, encoding, names, _budget(request))
        return Response(200, page, headers)

    def discovery(self, request: Request) -> Response:
        """The services that expose metrics of their own (http_sd)."""
        return Response.json(discovery.targets(request, self._daemon.about, self._daemon.view().specs))

    def healthy(self, request: Request) -> Response:
        """Whether the loop turns."""
        return Response.text("ok\n") if self._daemon.alive() else problem(503, "the loop has not turned for 10 s")

    def ready(self, request: Request) -> Response:
        """Whether boot is done and no shutdown under way."""
        view = self._daemon.view()
        if view.booted and not view.closing:
            return Response.text("ok\n")
        return problem(503, "shutting down" if view.closing else "booting")

    def services(self, request: Request) -> Response:
        """States of all services, or of those that are named."""
        view = self._daemon.view()
        name = request.params.get("name")
        names = name.split(",") if name is not None else request.query.get("name", [])
        keys = self._keys(names) if names else tuple(view.units)
        return Response.json(document(self._daemon.about, view, keys, self._daemon.usage(keys)))

    def logs(self, request: Request) -> Response:
        """The end of captured output, and with `follow` what comes."""
        stream = body.one_of(request, "stream", _STREAMS)
        as_json = body.one_of(request, "format", ("text", "ndjson")) == "ndjson"
        lines, follow = body.whole(request, "lines", 100), body.flag(request, "follow")
        voices = self._voices(self._keys(_names(request)), _STREAMS[1:] if stream == "both" else (stream,))
        shown = Stream(output(voices, lines, follow=follow, as_json=as_json))
        return Response(200, shown, _NDJSON if as_json else _BYTES)

    def _voices(self, keys: Sequence[UnitKey], streams: Sequence[str]) -> tuple[Voice, ...]:
        """The files to show, each once; RefusedError where there is none, too many, or one that cannot be read."""
        found: dict[str, Voice] = {}
        units = self._daemon.view().units
        for key in keys:
            for stream in streams:
                path = self._daemon.log_path(key, stream)
                if path is not None and key in units:
                    found.setdefault(path, Voice(units[key].name, stream, path))
        if not found:
            what = " and ".join(streams)
            raise RefusedError(
                404, f"cannot show {what} of {_brief(keys)}: not captured to a file (see [service] logs)"
            )
        if len(found) > MOST:
            raise RefusedError(400, f"cannot show {len(found)} logs at once: {MOST} at most")
        for voice in found.values():
            reason = obstacle(voice.path)
            if reason is not None:
                raise RefusedError(500, f"cannot show {voice.stream} of {voice.unit}: {voice.path}: {reason}")
        return tuple(found.values())

    # --- writes -------------------------------------------------------------------------------------------------------

    def command(self, verb: str) -> Handler:
        """The handler of one of start, stop and restart."""

        def handler(request: Request) -> Response:
            asked = body.fields(request, {"wait": bool, "timeout": float})
            patience = body.patience(asked)
            keys = self._keys(_names(request))
            action = Action(self._daemon, verb, keys, origin(request))
            log.info("Asked to %s %s by %s", verb, _brief(keys), request.peer)
            if asked.get("wait", True):
                return Response(200, Stream(_told(action, patience)), _NDJSON)
            _in_loop(action.take)
            units = self._daemon.view().units
            return Response.json({"accepted": [units[key].name for key in keys if key in units]}, 202)

        return handler

    def signal(self, request: Request) -> Response:
        """Send a signal to main processes."""
        number = body.signal_number(body.fields(request, {"signal": object}).get("signal"))
        keys = self._keys(_names(request))
        log.info("Asked to send %s to %s by %s", format_signal(number), _brief(keys), request.peer)
        problems = _in_loop(lambda: self._daemon.signal(keys, number))
        sent = f"sent {format_signal(number)}"
        view = self._daemon.view()
        results = (line(view, key, key not in problems, problems.get(key, sent)) for key in keys)
        return Response(200, b"".join(encoded(result) for result in results), _NDJSON)

    def apply(self, request: Request) -> Response:
        """Read the configuration again and take it whole, or not at all."""
        body.fields(request, {})
        log.info("Asked to apply the configuration by %s", request.peer)
        problems = _in_loop(lambda: self._daemon.reload(origin(request)))
        if problems:
            return problem(422, f"cannot apply {self._daemon.about.config}: {'; '.join(problems)}")
        return Response.json({"applied": self._daemon.about.config})

    def shutdown(self, request: Request) -> Response:
        """Stop everything, then end the daemon."""
        hurry = body.fields(request, {"hurry": bool}).get("hurry", False)
        log.info("Asked to shut down%s by %s", " at once" if hurry else "", request.peer)
        asked = Shutdown(hurry=hurry, origin=origin(request))
        _in_loop(lambda: self._daemon.ask(lambda: asked))
        return Response.json({"accepted": True}, 202)

    def _keys(self, names: Sequence[str]) -> tuple[UnitKey, ...]:
        try:
            return choose(names, self._daemon.view().units, self._daemon.groups())
        except UnknownNameError as error:
            raise RefusedError(404, str(error)) from error


def _budget(request: Request) -> float | None:
    """The seconds that are left of what the scraper waits; None where it does not say so, or not in good order."""
    text = request.headers.get("x-prometheus-scrape-timeout-seconds", "")
    seconds = float(text) if _SECONDS.fullmatch(text) else 0.0
    if not 0 < seconds <= _LONGEST_BUDGET:
        return None
    return max(0.0, seconds - (time.monotonic() - request.received_at))


def _told(action: Action, patience: float) -> Callable[[Stream], None]:
    """The producer of an action's results. It acts itself: who is answered 503 for want of streams has done nothing."""

    def lines(stream: Stream) -> Iterator[Line]:
        try:
            action.take()
        except (TimeoutError, ClosingError) as error:
            yield {"unit": None, "ok": False, "state": None, "text": str(error)}
        else:
            yield from action.results(patience, stream.wait)

    def produce(stream: Stream) -> None:
        for result in lines(stream):
            stream.write(encoded(result))

    return produce


def _in_loop(call: Callable[[], T]) -> T:
    try:
        return call()
    except TimeoutError as error:
        raise RefusedError(504, str(error)) from error
    except ClosingError as error:
        raise RefusedError(409, str(error)) from error


def _names(request: Request) -> list[str]:
    return request.params["name"].split(",")


def _brief(keys: Sequence[UnitKey]) -> str:
    """The first few of some units, for a line of the log."""
    few = ", ".join(map(str, keys[:5]))
    return f"{few} and {len(keys) - 5} more" if len(keys) > 5 else few
