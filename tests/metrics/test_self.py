"""What the page tells of the daemon's own threads and queues."""

from __future__ import annotations

import itertools
import math
import platform
import threading
from pathlib import Path

from metrics.exposition.own import identify, revision
from metrics.recorder import Recorder
from supervisor.control.listen import bind_unix
from supervisor.control.router import Router
from supervisor.control.server import Server
from supervisor.core.view import FleetView
from supervisor.host.diary import Diary
from supervisor.host.launch import Launcher
from supervisor.host.mailbox import Mailbox
from supervisor.host.output import OutputThread
from supervisor.host.pulse import Pulses
from supervisor.instruments import Queue, Shared, queues, queues_of, threads

PATIENCE = 10.0


def read(recorder: Recorder, name: str) -> dict[str, float]:
    """The samples of a family with one label."""
    found = recorder.probes[name]()
    assert not isinstance(found, float)
    return {labels[0]: value for labels, value in found}


def test_every_thread_has_three_series() -> None:
    """Whether it is up, its last sign of life, and its failures, at 0 from the beginning."""
    recorder, pulses = Recorder(), Pulses(clock=lambda: 0.0, wall=lambda: 50.0)
    threads(recorder, pulses)
    gone = threading.Thread(target=lambda: pulses.begin("gone").idle())
    gone.start()
    gone.join(PATIENCE)
    pulses.begin("here").idle()
    pulses.restarted("here")
    assert {"gone": 0.0, "here": 1.0} == read(recorder, "respawnd_thread_up")
    assert {"gone": 50.0, "here": 50.0} == read(recorder, "respawnd_thread_last_heartbeat_time_seconds")
    assert {"gone": 0.0, "here": 1.0} == read(recorder, "respawnd_thread_restarts_total")


def test_a_queue_without_bound_and_one_that_drops() -> None:
    """+Inf where there is no bound; what never drops has no series of drops, what can begins at 0."""
    recorder = Recorder()
    queues(recorder, {"mailbox": lambda: Queue(3), "spans": lambda: Queue(1, 2048, 0)})
    assert {"mailbox": 3.0, "spans": 1.0} == read(recorder, "respawnd_queue_depth")
    assert {"mailbox": math.inf, "spans": 2048.0} == read(recorder, "respawnd_queue_capacity")
    assert {"spans": 0.0} == read(recorder, "respawnd_queue_dropped_total")


def test_one_reading_a_page() -> None:
    """The families of a page share one; the next page has its own, and so has who asks for one family alone, later."""
    now, numbers = [0.0], itertools.count(1)
    shared = Shared(lambda: next(numbers), lambda: now[0])
    assert [1, 1, 1] == [shared.of(name) for name in ("depth", "capacity", "dropped")]
    assert [2, 2] == [shared.of("depth"), shared.of("capacity")]
    now[0] += 2.0
    assert 3 == shared.of("dropped")


def test_the_commit_that_was_installed(tmp_path: Path) -> None:
    """As pip wrote it down, which it does of a repository; read when a page asks, and anything else is no commit."""
    assert "" == revision(tmp_path)
    told = tmp_path / "respawnd-1.0.dist-info" / "direct_url.json"
    told.parent.mkdir()
    recorder = Recorder()
    identify(recorder, "1.0", lambda: revision(tmp_path), "/", {})
    for text in ("", "[]", '{"url": "file:///src", "dir_info": {}}', '{"vcs_info": null}'):
        told.write_text(text)
        assert "" == revision(tmp_path)
    told.write_text('{"url": "https://example.org/r.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}')
    found = recorder.probes["respawnd_build_info"]()
    assert [(("1.0", "c0ffee", platform.python_version()), 1.0)] == found


def test_the_queues_of_a_daemon(tmp_path: Path) -> None:
    """Each is read from its owner; at rest all are empty."""
    mailbox: Mailbox[object] = Mailbox()
    output, diary = OutputThread(), Diary([], capacity=7)
    launcher = Launcher("x", {}, lambda *_: (1, 2), lambda _: None, lambda: 0.0, None)
    listener = bind_unix(str(tmp_path / "sock"))
    server = Server(Router(), [listener])
    mailbox.post(object())
    found = {
        name: look() for name, look in queues_of(FleetView, mailbox, launcher, output, server, diary).items()
    }  # fmt: skip
    empty = ("respawn", "launch", "output", "compress")
    expected = dict.fromkeys(empty, Queue(0)) | {
        "mailbox": Queue(1),
        "http": Queue(0, server.limits.queue, 0),
        "http_connections": Queue(0, server.limits.connections, 0),
        "diary": Queue(0, 7, 0),
    }
    assert expected == found
    assert output.stop(PATIENCE)
    assert launcher.stop(PATIENCE)
    assert diary.close(PATIENCE)
    listener.close()
    mailbox.close()
