"""Every figure of a page against the ledger: services, replicas, the daemon.

Exactly for whatever is counted; within the bounds of what the script knows for moments and durations.
"""

from __future__ import annotations

import time

from metrics.catalog import BY_NAME, PHASES, REASONS, STREAMS, TRIGGERS
from supervisor.core.state import CODES
from tests.soak.ledger import Span, total
from tests.soak.page import Page
from tests.soak.play import Play
from tests.soak.stage import Key
from tests.soak.verdict import Verdict, around

S = "respawnd_service_"
J = "respawnd_job_"
#: The oneshots of the cast.
JOBS = ("job", "failing")
LATENCY = f"{S}respawn_latency_seconds"
#: The phases that make up the latency.
PARTS = ("decide", "sweep", "backoff", "queue", "spawn")
#: A latency that is told apart by a bucket of its own.
LONG = 1.0
#: Seconds by which a sum of seconds on the page may be off: each is rounded to the microsecond.
ROUNDED = 5e-6


def keys(play: Play) -> list[Key]:
    """All replicas that are configured."""
    return [(name, replica) for name, part in play.cast.parts.items() for replica in range(part.replicas)]


def check(play: Play, page: Page, verdict: Verdict) -> None:
    """Hold a page of a quiet moment against the truth."""
    verdict.same("services", "with series", " ".join(sorted(play.cast.parts)), " ".join(sorted(page.services())))
    replicas = " ".join(sorted(f"{service}:{replica}" for service, replica in keys(play)))
    verdict.same("replicas", "with series", replicas, " ".join(sorted(page.replicas())))
    for name in play.cast.parts:
        _counters(play, page, verdict, name)
        _durations(play, page, verdict, name)
        _availability(play, page, verdict, name)
    for key in keys(play):
        _replica(play, page, verdict, key)
    verdict.same(
        "jobs", "with series", " ".join(sorted(JOBS)), " ".join(sorted(page.labels(f"{J}runs_total", "service")))
    )
    for name in JOBS:
        _job(play, page, verdict, name)
    _daemon(play, page, verdict)


def _counters(play: Play, page: Page, verdict: Verdict, name: str) -> None:
    ledger = play.ledger
    for reason in REASONS:
        truth = ledger.exits[name, reason]
        shown = truth or (0 if reason in BY_NAME[f"{S}exits_total"].initial else None)
        verdict.same(
            f"{S}exits_total", f"{name} {reason}", shown, page.value(f"{S}exits_total", service=name, reason=reason)
        )
    spawned = page.value(f"{S}spawns_total", service=name, result="ok")
    verdict.same(f"{S}spawns_total", f"{name} ok", ledger.spawned[name], spawned)
    failed = page.value(f"{S}spawns_total", service=name, result="error")
    verdict.within(f"{S}spawns_total", f"{name} error", ledger.unspawned[name], failed)
    escalated = page.value(f"{S}stop_escalations_total", service=name)
    verdict.same(f"{S}stop_escalations_total", name, ledger.escalations[name], escalated)
    for stream in STREAMS:
        written = page.value(f"{S}log_bytes_total", service=name, stream=stream)
        verdict.same(f"{S}log_bytes_total", f"{name} {stream}", ledger.output[name, stream], written)
    verdict.same(f"{S}log_lines_dropped_total", name, 0, page.value(f"{S}log_lines_dropped_total", service=name))


def _durations(play: Play, page: Page, verdict: Verdict, name: str) -> None:
    spans = play.ledger.latencies[name]
    count, seconds = (page.value(f"{LATENCY}_{what}", service=name) for what in ("count", "sum"))
    verdict.same(f"{LATENCY}_count", name, len(spans), count)
    verdict.within(f"{LATENCY}_sum", name, total(spans), seconds, 1e-6)
    quick = Span(sum(span.most <= LONG for span in spans), sum(span.least <= LONG for span in spans))
    verdict.within(
        f"{LATENCY}_bucket", f"{name} le={LONG}", quick, page.value(f"{LATENCY}_bucket", service=name, le=str(LONG))
    )
    family = f"{S}respawn_phase_seconds_total"
    phases = {phase: page.value(family, service=name, phase=phase) for phase in PHASES}
    known = {phase: value for phase, value in phases.items() if value is not None}
    verdict.same(family, f"{name} phases shown", " ".join(PHASES), " ".join(known))
    verdict.within(
        family,
        f"{name} {'+'.join(PARTS)}",
        around(seconds or 0.0, 0.0),
        sum(known.get(part, 0.0) for part in PARTS),
        ROUNDED,
    )
    verdict.within(family, f"{name} backoff", play.ledger.phases[name, "backoff"], phases["backoff"], ROUNDED)
    for phase in ("sweep", "ready"):
        if (name, phase) in play.ledger.phases:
            verdict.within(family, f"{name} {phase}", play.ledger.phases[name, phase], phases[phase], ROUNDED)
    lives = [life for key, those in play.stage.lives.items() if key[0] == name for life in those]
    ready = sum(life.up is not None for life in lives) if name == "graced" else play.ledger.spawned[name]
    verdict.same(
        f"{S}ready_latency_seconds_count", name, ready, page.value(f"{S}ready_latency_seconds_count", service=name)
    )


def _availability(play: Play, page: Page, verdict: Verdict, name: str) -> None:
    wishes = [wish.lasted(page.at) for key, those in play.ledger.wishes.items() if key[0] == name for wish in those]
    desired = page.value(f"{S}desired_seconds_total", service=name)
    verdict.within(f"{S}desired_seconds_total", name, total(wishes), desired, 1e-3)
    running = page.value(f"{S}running_seconds_total", service=name)
    verdict.within(f"{S}running_seconds_total", name, play.ran(name, page.at), running, 1e-3)
    wanted = sum(key[0] == name and key not in play.ledger.resting for key in keys(play))
    verdict.same(f"{S}desired_replicas", name, wanted, page.value(f"{S}desired_replicas", service=name))
    verdict.same(f"{S}info", name, 1, page.sum(f"{S}info", service=name))


def _replica(play: Play, page: Page, verdict: Verdict, key: Key) -> None:
    labels, who = {"service": key[0], "replica": str(key[1])}, f"{key[0]}:{key[1]}"
    life, wall = play.stage.living(key), time.time() - time.monotonic()
    state = play.ledger.resting.get(key, "running")
    verdict.same(f"{S}up", who, float(life is not None), page.value(f"{S}up", **labels))
    verdict.same(f"{S}state", who, state, _states(page, key))
    verdict.same(f"{S}state_code", who, CODES[state], page.value(f"{S}state_code", **labels))
    verdict.same(f"{S}backoff_seconds", who, 0, page.value(f"{S}backoff_seconds", **labels))
    for trigger in TRIGGERS:
        truth = play.ledger.restarts[*key, trigger]
        shown = truth or (0 if trigger in BY_NAME[f"{S}restarts_total"].initial else None)
        verdict.same(
            f"{S}restarts_total", f"{who} {trigger}", shown, page.value(f"{S}restarts_total", trigger=trigger, **labels)
        )
    past = play.stage.lives.get(key)
    if past and not past[-1].retired:
        began = Span(past[-1].forked + wall - 0.02, past[-1].known + wall)
        verdict.within(f"{S}start_time_seconds", who, began, page.value(f"{S}start_time_seconds", **labels))
    if life is not None and life.up is not None:
        age = Span(page.at.least - life.known, page.at.most - life.forked + 0.02)
        verdict.within(f"{S}uptime_seconds", who, age, page.value(f"{S}uptime_seconds", **labels))
    last = play.ledger.last_exit.get(key)
    verdict.same(f"{S}last_exit_code", who, last and last.code, page.value(f"{S}last_exit_code", **labels))
    if last is not None:
        when = Span(last.at.least + wall, last.at.most + wall)
        verdict.within(
            f"{S}last_exit_time_seconds", who, when, page.value(f"{S}last_exit_time_seconds", **labels), 0.005
        )


def _job(play: Play, page: Page, verdict: Verdict, name: str) -> None:
    """Each life of it was a run that came to its end; none is under way."""
    past, last = play.stage.lives[name, 0], play.ledger.last_exit[name, 0]
    wall = time.time() - time.monotonic()
    for result, reason in (("ok", "ok"), ("fail", "error")):
        shown = page.value(f"{J}runs_total", service=name, result=result)
        verdict.same(f"{J}runs_total", f"{name} {result}", play.ledger.exits[name, reason], shown)
    verdict.same(f"{J}running", name, 0, page.value(f"{J}running", service=name))
    verdict.same(f"{J}last_exit_code", name, last.code, page.value(f"{J}last_exit_code", service=name))
    began = Span(past[-1].forked + wall - 0.02, past[-1].known + wall)
    verdict.within(f"{J}last_start_time_seconds", name, began, page.value(f"{J}last_start_time_seconds", service=name))
    ended = Span(last.at.least + wall, last.at.most + wall)
    for what in ("completion", "success") if last.code == 0 else ("completion",):
        family = f"{J}last_{what}_time_seconds"
        verdict.within(family, name, ended, page.value(family, service=name), 0.005)
    lasted = Span(max(0.0, last.at.least - past[-1].known), last.at.most - past[-1].forked + 0.02)
    verdict.within(
        f"{J}last_duration_seconds", name, lasted, page.value(f"{J}last_duration_seconds", service=name), 1e-3
    )


def _states(page: Page, key: Key) -> str:
    """The states of which a replica has a series."""
    mine = {("service", key[0]), ("replica", str(key[1]))}
    return " ".join(dict(labels)["state"] for labels in page.samples.get(f"{S}state", {}) if mine <= labels)


def _daemon(play: Play, page: Page, verdict: Verdict) -> None:
    ledger = play.ledger
    for (handler, method, code), number in ledger.requests.items():
        if method == "POST":
            asked = page.value("respawnd_api_requests_total", handler=handler, method=method, code=code)
            verdict.same("respawnd_api_requests_total", f"{method} {handler} {code}", number, asked)
    for kind in ("launched", "exited", "start", "stop", "restart", "reconfigured"):
        truth = Span(ledger.events[kind], float("inf") if kind in ("start", "stop", "restart") else ledger.events[kind])
        verdict.within("respawnd_events_total", kind, truth, page.value("respawnd_events_total", type=kind))
    spawned = page.value("respawnd_spawn_duration_seconds_count")
    verdict.same("respawnd_spawn_duration_seconds_count", "", ledger.events["launched"], spawned)
    respawned = page.value("respawnd_respawn_overhead_seconds_count")
    verdict.same("respawnd_respawn_overhead_seconds_count", "", ledger.respawns, respawned)
    failed = page.value("respawnd_events_total", type="launch_failed")
    verdict.within("respawnd_events_total", "launch_failed", total(list(ledger.unspawned.values())), failed)
    for result in ("ok", "error"):
        loads = page.value("respawnd_config_reloads_total", result=result)
        verdict.same("respawnd_config_reloads_total", result, ledger.reloads[result], loads)
    verdict.same("respawnd_config_last_reload_successful", "", 1, page.value("respawnd_config_last_reload_successful"))
    # Of what a dead service leaves behind, those that its sweep found alive are not counted as nobody's.
    orphans = Span(ledger.strays, ledger.strays + ledger.orphans)
    verdict.within("respawnd_orphans_reaped_total", "", orphans, page.value("respawnd_orphans_reaped_total"))
    for thread in page.labels("respawnd_thread_up", "thread"):
        verdict.same("respawnd_thread_up", thread, 1, page.value("respawnd_thread_up", thread=thread))
    threads = page.labels("respawnd_thread_up", "thread")
    verdict.holds("threads are told of", {"loop", "http", "output", "sampler"} <= threads, sorted(threads))
    for family in ("resource_sample_errors", "metrics_series_dropped", "metrics_collector_errors", "queue_dropped"):
        verdict.same(f"respawnd_{family}_total", "all", 0, page.sum(f"respawnd_{family}_total"))
    for result in ("failed", "dropped"):
        verdict.same("respawnd_trace_spans_total", result, 0, page.value("respawnd_trace_spans_total", result=result))
