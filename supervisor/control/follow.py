"""Captured output as a response: the end of a file, and what comes after it, over rotations."""

from __future__ import annotations

from collections.abc import Callable

from supervisor.control.stream import Stream
from supervisor.host.logread import tail_and_follow

#: Seconds between looks for more. A client that follows a log reads with its eyes; inotify would cost a descriptor a client.
_PAUSE = 0.1
_CHUNK = 64 * 1024


def tail_stream(path: str, lines: int, *, follow: bool) -> Callable[[Stream], None]:
    """Give the producer of a stream: the last `lines` lines of `path`, then with `follow` all that is written to it."""

    def produce(stream: Stream) -> None:
        end, follower = tail_and_follow(path, lines)
        with follower:
            for at in range(0, len(end), _CHUNK):
                stream.write(end[at : at + _CHUNK])
            while follow and not stream.wait(0):
                news = follower.read_available(_CHUNK)
                if news:
                    stream.write(news)
                elif stream.wait(_PAUSE):
                    return

    return produce
