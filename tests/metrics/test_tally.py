"""Counters and gauges of the daemon: from any thread, within the catalogue's words."""

from __future__ import annotations

import threading

import pytest

from metrics.catalog import LEVELS
from metrics.recorder.tally import Tally

REQUESTS = "respawnd_api_requests_total"
MESSAGES = "respawnd_log_messages_total"


def test_no_count_of_any_thread_is_lost() -> None:
    """Four threads count a thousand times each."""
    tally = Tally()

    def count() -> None:
        for _ in range(1000):
            tally.add(REQUESTS, ("/metrics", "GET", "200"), 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(("/metrics", "GET", "200"), 4000.0)] == tally.read(REQUESTS)


def test_known_values_are_there_from_the_start() -> None:
    """Counters show 0 where their label values are known, and nothing where they are not, or are not built."""
    tally = Tally()
    assert [((level,), 0.0) for level in LEVELS] == tally.read(MESSAGES)
    assert [((), 0.0)] == tally.read("respawnd_orphans_reaped_total")
    assert [] == tally.read(REQUESTS)
    assert [] == tally.read("respawnd_state_write_errors_total")
    assert [] == tally.read("respawnd_config_hash")


def test_a_word_off_the_list_is_other() -> None:
    """A value that a closed list does not have cannot make a series of its own."""
    tally = Tally()
    tally.add(MESSAGES, ("shouting",), 1)
    tally.add(MESSAGES, ("whispering",), 2)
    assert (("other",), 3.0) in tally.read(MESSAGES)


def test_a_gauge_is_set() -> None:
    """The last value counts."""
    tally = Tally()
    tally.put("respawnd_queue_depth", ("mailbox",), 5)
    tally.put("respawnd_queue_depth", ("mailbox",), 2)
    assert [(("mailbox",), 2)] == tally.read("respawnd_queue_depth")


def test_what_the_catalogue_does_not_have_is_refused() -> None:
    """Unknown families, a wrong number of labels and a step back are faults of the caller."""
    tally = Tally()
    with pytest.raises(KeyError):
        tally.add("respawnd_unheard_of_total", (), 1)
    with pytest.raises(ValueError, match="it has the labels handler, method, code"):
        tally.add(REQUESTS, ("/metrics",), 1)
    with pytest.raises(ValueError, match="negative"):
        tally.add(MESSAGES, ("info",), -1)
