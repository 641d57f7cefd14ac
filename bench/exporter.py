"""For scale: with 500 services, what it costs a supervisor to tell an exporter how they are.

supervisord answers XML-RPC (supervisor.getAllProcessInfo), which is all that its exporters have to ask; respawnd
renders /metrics, whole, as Prometheus asks for it. Processor time of the supervisor alone, in turn; what the exporter
itself would add on supervisord's side is in no figure.
"""

from __future__ import annotations

import time
import xmlrpc.client
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from bench import figures, proc, scrape
from bench.figures import Row
from bench.peers import Supervisord
from bench.plan import say
from bench.running import Broken, started
from bench.subjects import Unavailable, many

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.running import Running
    from bench.subjects import Subject

TITLE = "one question of an exporter, 500 services"
_SERVICES = 500
_PEER = "supervisord"
_ROUNDS_APART = 0.3  # seconds between questions, for respawnd rests after a page


@frozen
class Cost:
    """What one batch of questions cost, each: processor time of the supervisor and time by the clock, in seconds."""

    cpu: float
    wall: float


def measure(plan: Plan) -> list[Row]:
    """Ask each in turn."""
    ours = [subject for subject in plan.subjects if subject.name == figures.OURS]
    try:
        subjects: list[Subject] = [evolve(Supervisord.find(), rpc=True), *ours]
    except Unavailable as reason:
        say(f"the comparison is skipped: {reason}")
        subjects = list(ours)
    costs: dict[str, list[Cost]] = defaultdict(list)
    with ExitStack() as stack:
        fleets = [_up(stack.enter_context(started(subject, many(_SERVICES)))) for subject in subjects]
        for number in range(plan.size(6, 2)):
            for fleet in fleets if number % 2 else reversed(fleets):
                plan.quiet.wait()
                costs[fleet.name].append(_batch(fleet, plan.size(20, 5)))
    cpu = {name: figures.median([cost.cpu for cost in each]) for name, each in costs.items()}
    wall = {name: figures.median([cost.wall for cost in each]) for name, each in costs.items()}
    note = "processor time is counted in ticks of 10 ms over a batch"
    return [
        Row("the supervisor's processor time", "s", cpu, note=note, against=_PEER),
        Row("by the clock", "s", wall, against=_PEER),
    ]


def _up(fleet: Running) -> Running:
    fleet.start()
    fleet.settle()
    return fleet


def _batch(fleet: Running, questions: int) -> Cost:
    """Ask some times, apart; the waiting between costs neither anything."""
    ask = _scrape if fleet.name == figures.OURS else _call
    ask(fleet)
    wall = 0.0
    spent = proc.cpu_seconds(fleet.pid)
    for _ in range(questions):
        time.sleep(_ROUNDS_APART)
        begin = time.perf_counter()
        ask(fleet)
        wall += time.perf_counter() - begin
    time.sleep(_ROUNDS_APART)
    return Cost((proc.cpu_seconds(fleet.pid) - spent) / questions, wall / questions)


def _scrape(fleet: Running) -> None:
    status, _ = scrape.get(fleet.place.port, "/metrics", scrape.PROMETHEUS)
    if status != 200:
        raise Broken(f"{fleet.name}: /metrics answers {status}")


def _call(fleet: Running) -> None:
    """Ask as supervisord's exporters do."""
    proxy = xmlrpc.client.ServerProxy(f"http://{scrape.HOST}:{fleet.place.port}/RPC2")
    found = proxy.supervisor.getAllProcessInfo()
    if not isinstance(found, list) or len(found) != _SERVICES:
        raise Broken(f"{fleet.name}: does not tell of {_SERVICES} processes")
