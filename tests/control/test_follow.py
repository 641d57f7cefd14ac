"""Captured output over the API: which files, told apart how, and followed until somebody goes."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.control import client, follow
from supervisor.control.follow import Lines, Text, Voice, obstacle
from tests.control.fakes import FakeDaemon, Site, daemon, serving, spec

OUT, ERR = Voice("web", "stdout", "/o"), Voice("web", "stderr", "/e")


def logging_daemon(directory: Path, *names: str, **contents: str) -> FakeDaemon:
    """A daemon of `web` and others; `web_0_stdout="text"` is what that stream has in its file."""
    services: dict[str, int] = {}
    for name in names or ("web:0",):
        services[name.split(":")[0]] = services.get(name.split(":")[0], 0) + 1
    fake = daemon(*(spec(name, replicas=count) for name, count in services.items()))
    for key in fake.view().units:
        for stream in ("stdout", "stderr"):
            path = directory / f"{key.service}_{key.replica}_{stream}"
            fake.paths[str(key), stream] = str(path)
            text = contents.get(path.name)
            if text is not None:
                path.write_text(text)
    return fake


def show(site: Site, name: str, query: str = "") -> client.ClientResponse:
    """The answer to a read of a log."""
    return client.request(site.socket, "GET", f"/api/v1/logs/{name}?{query}")


def problem(answer: client.ClientResponse) -> tuple[int, str]:
    """The status and the words."""
    return answer.status, answer.json()["detail"]


def test_one_voice_is_given_byte_for_byte(tmp_path: Path) -> None:
    """Where only one stream has something, there is no header; a type that no browser shows."""
    fake = logging_daemon(tmp_path, web_0_stdout="a\nb\nc", web_0_stderr="")
    with serving(fake, tmp_path) as site:
        answer = show(site, "web")
        assert (200, b"a\nb\nc") == (answer.status, answer.body)
        assert ("application/octet-stream", "nosniff") == tuple(
            answer.headers[name] for name in ("content-type", "x-content-type-options")
        )
        assert b"b\nc" == show(site, "web", "lines=2").body
        assert b"" == show(site, "web", "lines=0").body


def test_two_voices_are_told_apart(tmp_path: Path) -> None:
    """Headers as tail has them; one stream alone has none."""
    fake = logging_daemon(tmp_path, web_0_stdout="out\n", web_0_stderr="err")
    with serving(fake, tmp_path) as site:
        assert b"==> web stdout <==\nout\n\n==> web stderr <==\nerr" == show(site, "web").body
        assert b"err" == show(site, "web", "stream=stderr").body


def test_replicas_and_globs(tmp_path: Path) -> None:
    """Every unit that the name means is shown."""
    fake = logging_daemon(tmp_path, "web:0", "web:1", "db:0", web_1_stdout="one\n", db_0_stderr="two\n")
    with serving(fake, tmp_path) as site:
        assert b"==> web:1 stdout <==\none\n\n==> db stderr <==\ntwo\n" == show(site, "web,db").body
        assert b"one\n" == show(site, "web:1").body
        assert 404 == show(site, "wbe").status


def test_a_shared_file_is_one_voice(tmp_path: Path) -> None:
    """With stderr = "stdout" both streams are in one file, which is shown once."""
    fake = logging_daemon(tmp_path, web_0_stdout="both\n")
    fake.paths["web:0", "stderr"] = fake.paths["web:0", "stdout"]
    with serving(fake, tmp_path) as site:
        assert b"both\n" == show(site, "web").body


def test_lines_as_json(tmp_path: Path) -> None:
    """Each line with its unit and stream; the end without a newline counts, what is not UTF-8 is replaced."""
    fake = logging_daemon(tmp_path, web_0_stdout="a\n\nb", web_0_stderr="")
    Path(fake.paths["web:0", "stderr"]).write_bytes(b"\xff\n")
    with serving(fake, tmp_path) as site:
        answer = show(site, "web", "format=ndjson")
    assert "application/x-ndjson" == answer.headers["content-type"]
    assert [("stdout", "a"), ("stdout", ""), ("stderr", "\ufffd"), ("stdout", "b")] == [
        (line["stream"], line["text"]) for line in map(json.loads, answer.body.splitlines())
    ]


def test_what_is_not_captured(tmp_path: Path) -> None:
    """404, and where to look; a file that is not there yet is only empty."""
    fake = logging_daemon(tmp_path)
    with serving(fake, tmp_path) as site:
        assert (200, b"") == (show(site, "web").status, show(site, "web").body)
        fake.paths.clear()
        said = "cannot show stdout and stderr of web:0: not captured to a file (see [service] logs)"
        assert (404, said) == problem(show(site, "web"))


def test_what_cannot_be_shown(tmp_path: Path) -> None:
    """A directory, a socket, a device: told before the answer begins, and never waited for."""
    fake = logging_daemon(tmp_path)
    fake.paths = {("web:0", "stdout"): "/dev/null", ("web:0", "stderr"): str(tmp_path)}
    with serving(fake, tmp_path) as site:
        assert (500, "cannot show stdout of web: /dev/null: no regular file") == problem(show(site, "web"))
        assert 500 == show(site, "web", "stream=stderr").status
        assert 400 == show(site, "web", "stream=stdin").status
        assert 400 == show(site, "web", "lines=all").status


def test_obstacles(tmp_path: Path) -> None:
    """Nothing is opened that would wait, or do something."""
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert "no regular file" == obstacle(str(tmp_path / "socket"))
    assert "no regular file" == obstacle(str(tmp_path / "fifo"))
    assert "no regular file" == obstacle(str(tmp_path))
    assert "not a directory" == obstacle(str(tmp_path / "fifo" / "x"))
    assert obstacle(str(tmp_path / "nothing")) is None


def test_too_many_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs a descriptor while it is shown."""
    monkeypatch.setattr("supervisor.control.api.MOST", 3)
    fake = logging_daemon(tmp_path, "web:0", "web:1")
    with serving(fake, tmp_path) as site:
        assert (400, "cannot show 4 logs at once: 3 at most") == problem(show(site, "web"))


# --- followed ---------------------------------------------------------------------------------------------------------


def until(chunks: Iterator[bytes], end: bytes) -> bytes:
    """What comes up to `end`."""
    read = b""
    while not read.endswith(end):
        read += next(chunks)
    return read


def append(path: str, text: str) -> None:
    """Write as the capture does."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def test_following(tmp_path: Path) -> None:
    """What is written after the first look comes, with a header wherever the voice changes."""
    fake = logging_daemon(tmp_path, web_0_stdout="old\n")
    out, err = (fake.paths["web:0", stream] for stream in ("stdout", "stderr"))
    with serving(fake, tmp_path) as site, client.stream(site.socket, "GET", "/api/v1/logs/web?follow=1") as answer:
        chunks = iter(answer)
        assert b"old\n" == until(chunks, b"old\n")
        append(out, "new")
        assert b"new" == until(chunks, b"new")
        append(err, "bad\n")  # the file did not exist before
        assert b"\n\n==> web stderr <==\nbad\n" == until(chunks, b"bad\n")
        append(out, "more\n")
        assert b"\n==> web stdout <==\nmore\n" == until(chunks, b"more\n")


def test_the_last_words_before_the_server_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written until the stop is still shown, and the answer ends as a whole one."""
    monkeypatch.setattr(follow, "_PAUSE", 60.0)
    fake = logging_daemon(tmp_path, web_0_stdout="old\n")
    with serving(fake, tmp_path) as site, client.stream(site.socket, "GET", "/api/v1/logs/web?follow=1") as answer:
        chunks = iter(answer)
        assert b"old\n" == until(chunks, b"old\n")
        append(fake.paths["web:0", "stdout"], "last\n")
        site.server.begin_stop(10)
        assert b"last\n" == b"".join(chunks)


def test_a_client_that_goes_frees_its_thread(tmp_path: Path) -> None:
    """A quiet log keeps nobody."""
    fake = logging_daemon(tmp_path, web_0_stdout="old\n")
    with serving(fake, tmp_path) as site:
        with client.stream(site.socket, "GET", "/api/v1/logs/web?follow=1") as answer:
            until(iter(answer), b"old\n")
            (producer,) = [one for one in threading.enumerate() if one.name == "respawnd-http-stream-1"]
        producer.join(10)
        assert not producer.is_alive()


# --- forms ------------------------------------------------------------------------------------------------------------


def test_headers_stand_on_lines_of_their_own() -> None:
    """After a line without end, and not before the first voice where that is the only one so far."""
    form = Text(None)
    assert b"==> web stdout <==\na" == form(OUT, b"a")
    assert b"b" == form(OUT, b"b")
    assert b"\n\n==> web stderr <==\nc\n" == form(ERR, b"c\n")
    assert b"\n==> web stdout <==\nd" == form(OUT, b"d")
    assert b"e" == Text(OUT)(OUT, b"e")
    assert b"" == form.rest(OUT)


def test_long_lines_are_not_held_back_for_ever() -> None:
    """A line that has no end within 64 KiB is given in parts."""

    def texts(data: bytes) -> list[Any]:
        return [json.loads(line)["text"] for line in data.splitlines()]

    form = Lines()
    assert [] == texts(form(OUT, b"ab"))
    assert ["abc"] == texts(form(OUT, b"c\nd"))
    assert ["e"] == texts(form(ERR, b"e\n"))
    assert ["d" + "x" * 70_000] == texts(form(OUT, b"x" * 70_000))
    assert [] == texts(form.rest(OUT))
    form(OUT, b"end")
    assert ["end"] == texts(form.rest(OUT))
