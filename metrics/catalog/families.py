"""The families themselves, in the order of the page; what is not here is not exposed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from metrics.catalog.family import (
    B1,
    B2,
    B3,
    EVENTS,
    LEVELS,
    OTHER,
    PHASES,
    REASONS,
    RESULTS,
    RUNS,
    SPANS,
    STATES,
    STREAMS,
    TRIGGERS,
    Family,
    Kind,
    Scope,
    Stability,
)

R, S, D = Scope.REPLICA, Scope.SERVICE, Scope.DAEMON
_BASE = {R: ("service", "replica"), S: ("service",), D: ()}
#: Promised, not yet filled.
LATER: dict[str, Any] = {"since": None}
#: As above, and its meaning may still change.
DRAFT: dict[str, Any] = {"since": None, "stability": Stability.EXPERIMENTAL}


def _family(kind: Kind, scope: Scope, name: str, text: str, extra: str, more: dict[str, Any]) -> Family:
    """Build a family; its labels are those of its scope, then those that `extra` names."""
    return Family(name, kind, scope, text, (*_BASE[scope], *extra.split()), **more)


def _g(scope: Scope, name: str, text: str, extra: str = "", **more: Any) -> Family:
    return _family(Kind.GAUGE, scope, name, text, extra, more)


def _c(scope: Scope, name: str, text: str, extra: str = "", **more: Any) -> Family:
    return _family(Kind.COUNTER, scope, name, text, extra, more)


def _h(scope: Scope, name: str, text: str, buckets: tuple[float, ...], **more: Any) -> Family:
    return _family(Kind.HISTOGRAM, scope, name, text, "", {"buckets": buckets, **more})


def _s(scope: Scope, name: str, text: str, **more: Any) -> Family:
    return _family(Kind.SUMMARY, scope, name, text, "", more)


def _i(scope: Scope, name: str, text: str, extra: str, **more: Any) -> Family:
    return _family(Kind.INFO, scope, name, text, extra, more)


_IDENTITY = (
    _i(D, "target_info", "OpenTelemetry resource of this daemon, as metadata of the target.",
       "service_name service_version service_instance_id host_name"),
    _g(D, "respawnd_feature", "1 if the kernel facility is there, else 0.", "name"),
    _i(D, "respawnd_build_info", "Build of the running daemon.", "version revision python_version"),
    _g(D, "respawnd_config_hash", "First 48 bits of the hash of the effective configuration."),
    _i(S, "respawnd_service_info", "What a service is configured to be.", "kind restart_policy group criticality",
       values=(("kind", ("service", "oneshot", "scheduled", "external")),)),
)  # fmt: skip

_LIFECYCLE = (
    _g(R, "respawnd_service_up", "1 while the main process exists and has passed its start grace, else 0."),
    _g(S, "respawnd_service_desired_replicas",
       "Replicas that should run now: not those that an operator stopped, nor those whose work is done."),
    _g(R, "respawnd_service_state", "1 for the present state; the other states have no series.", "state",
       values=(("state", STATES),)),
    _g(R, "respawnd_service_state_code",
       "State as a number: 0 stopped 5 waiting 10 starting 20 running 30 backoff 40 stopping 100 exited 200 fatal."),
    _g(R, "respawnd_service_start_time_seconds", "Unix time at which the current or last process started."),
    _g(R, "respawnd_service_uptime_seconds",
       "Seconds since the process started while the replica is up, else 0. For people; alert on the start time."),
    _c(S, "respawnd_service_running_seconds_total", "Replica-seconds spent up: the numerator of availability."),
    _c(S, "respawnd_service_desired_seconds_total",
       "Replica-seconds that should have been up: the denominator of availability."),
    _c(R, "respawnd_service_restarts_total", "Respawns, by what caused them.", "trigger",
       values=(("trigger", TRIGGERS),), initial=("crash", "health")),
    _c(S, "respawnd_service_exits_total",
       "Exits by reason; stopped is by our stop signal, killed by our SIGKILL, signal by one that was not ours.",
       "reason", values=(("reason", REASONS),), initial=("ok", "error", "signal", "oom")),
    _g(R, "respawnd_service_last_exit_code", "Status of the last exit; minus the signal's number if one ended it."),
    _g(R, "respawnd_service_last_exit_time_seconds", "Unix time of the last exit."),
    _c(S, "respawnd_service_spawns_total", "Attempts to start a process, by result.", "result",
       values=(("result", RESULTS),), initial=RESULTS),
    _h(S, "respawnd_service_respawn_latency_seconds",
       "Seconds from an observed exit to the exec of the replacement, configured backoff included.", B1),
    _c(S, "respawnd_service_respawn_phase_seconds_total",
       "Seconds of respawns by where they went: notice precedes the latency, ready follows it, the others make it up.",
       "phase", values=(("phase", PHASES),), initial=PHASES),
    _h(D, "respawnd_respawn_overhead_seconds",
       "Respawn latency less backoff and waits for dependencies and limits: stragglers, decisions, launcher, exec.",
       B2),
    _h(D, "respawnd_spawn_duration_seconds", "Seconds from the call that starts a process to its confirmed exec.", B2),
    _s(S, "respawnd_service_ready_latency_seconds", "Seconds from exec to readiness."),
    _g(R, "respawnd_service_backoff_seconds", "Delay that the replica waits out now, 0 if none."),
    _g(R, "respawnd_service_next_start_time_seconds",
       "Unix time of the next start: after a delay, a cooldown or by schedule; 0 if none."),
    _g(S, "respawnd_service_restart_budget", "Failures allowed within the give-up window; +Inf if it never gives up."),
    _g(S, "respawnd_service_restart_budget_remaining",
       "Failures left before it gives up, of the replica that has fewest left."),
    _g(R, "respawnd_service_health", "1 healthy, 0 unhealthy; no series without a check.", **LATER),
    _c(S, "respawnd_service_health_checks_total", "Health checks, by result.", "result",
       values=(("result", ("ok", "fail", "timeout", "error")),), **LATER),
    _s(S, "respawnd_service_health_check_duration_seconds", "Seconds that health checks took.", **LATER),
    _c(S, "respawnd_service_stop_escalations_total",
       "Lives that took SIGKILL, because they, or what they left behind, outlived the time to end."),
)  # fmt: skip

_JOBS = (
    _g(S, "respawnd_job_last_start_time_seconds",
       "Unix time at which the last run of a oneshot started; that of its load until there is one."),
    _g(S, "respawnd_job_last_completion_time_seconds",
       "Unix time at which the last run ended by itself, or could not be launched; that of the load until then."),
    _g(S, "respawnd_job_last_success_time_seconds",
       "Unix time at which the last run ended well (success_exit); that of the load until then."),
    _g(S, "respawnd_job_last_duration_seconds",
       "Seconds that the last completed run took; no series before it, nor where that could not be launched."),
    _g(S, "respawnd_job_last_exit_code",
       "Status of the last completed run, minus the signal's number if one ended it; no series where there is none."),
    _g(S, "respawnd_job_running", "Runs under way: processes of the job that live."),
    _g(S, "respawnd_job_schedule_period_seconds", "Seconds between scheduled runs.", **LATER),
    _g(S, "respawnd_job_next_run_time_seconds", "Unix time of the next scheduled run.", **LATER),
    _g(S, "respawnd_job_timeout_seconds", "Seconds that a run may take.", **LATER),
    _g(S, "respawnd_job_schedule_delay_seconds", "Last start minus its scheduled time.", **LATER),
    _c(S, "respawnd_job_runs_total",
       "Runs, by result; one that could not be launched is a fail, one that respawnd itself ended has no result.",
       "result", values=(("result", RUNS),), initial=("ok", "fail")),
)  # fmt: skip

_AGE = "As old as the last sampling (metrics.sample_interval)."
_RESOURCES = (
    _c(R, "respawnd_service_cpu_seconds_total", f"CPU time of the process tree. {_AGE}", "mode",
       values=(("mode", ("user", "system")),)),
    _g(R, "respawnd_service_memory_resident_bytes", f"Resident memory of the process tree. {_AGE}"),
    _g(R, "respawnd_service_memory_proportional_bytes",
       "Proportional memory (PSS) of the process tree; if metrics.pss. Looked at once a minute at most."),
    _g(R, "respawnd_service_memory_limit_bytes", "Memory limit of its cgroup; no series without one."),
    _g(R, "respawnd_service_open_fds", f"Open descriptors of the process tree. {_AGE}"),
    _g(R, "respawnd_service_max_fds", "Descriptor limit of the main process."),
    _g(R, "respawnd_service_worst_fd_ratio",
       f"Open over allowed descriptors of the process nearest to its limit. {_AGE}"),
    _g(R, "respawnd_service_threads", f"Threads of the process tree. {_AGE}"),
    _g(R, "respawnd_service_processes", f"Processes of the tree. {_AGE}"),
    _c(R, "respawnd_service_io_read_bytes_total", f"Bytes read from storage by the process tree. {_AGE}"),
    _c(R, "respawnd_service_io_write_bytes_total", f"Bytes written to storage by the process tree. {_AGE}"),
    _c(R, "respawnd_service_cpu_throttled_seconds_total",
       "Seconds throttled by the CPU limit of its cgroup; only with metrics.pressure = true.",
       stability=Stability.EXPERIMENTAL),
    _c(R, "respawnd_service_pressure_seconds_total",
       "Seconds in which some task of its cgroup stalled; only with metrics.pressure = true.", "resource",
       values=(("resource", ("cpu", "memory", "io")),), stability=Stability.EXPERIMENTAL),
    _c(S, "respawnd_service_log_bytes_total", "Bytes of captured output.", "stream",
       values=(("stream", STREAMS),), initial=STREAMS),
    _c(S, "respawnd_service_log_lines_dropped_total", "Lines of output that could not be kept."),
)  # fmt: skip

_DAEMON = (
    _g(D, "process_virtual_memory_bytes", "Virtual memory size in bytes."),
    _g(D, "process_resident_memory_bytes", "Resident memory size in bytes."),
    _g(D, "process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
    _c(D, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    _g(D, "process_open_fds", "Number of open file descriptors."),
    _g(D, "process_max_fds", "Maximum number of open file descriptors."),
    _c(D, "python_gc_objects_collected_total", "Objects collected during gc", "generation"),
    _c(D, "python_gc_objects_uncollectable_total", "Uncollectable objects found during GC", "generation"),
    _c(D, "python_gc_collections_total", "Number of times this generation was collected", "generation"),
    _g(D, "python_info", "Python platform information", "version implementation major minor patchlevel"),
    _h(D, "respawnd_loop_lag_seconds", "Actual minus intended wake-up of the supervision loop.", B3),
    _g(D, "respawnd_loop_last_tick_time_seconds", "Unix time of the last pass of the supervision loop."),
    _g(D, "respawnd_thread_up", "1 while the thread lives, else 0.", "thread"),
    _g(D, "respawnd_thread_last_heartbeat_time_seconds", "Unix time of the thread's last sign of life.", "thread"),
    _c(D, "respawnd_thread_restarts_total", "Threads replaced because they died or stalled.", "thread"),
    _g(D, "respawnd_queue_depth", "Items that wait.", "queue"),
    _g(D, "respawnd_queue_capacity", "Items that may wait; +Inf where there is no bound.", "queue"),
    _c(D, "respawnd_queue_dropped_total", "Items dropped or refused because the queue was full.", "queue"),
    _c(D, "respawnd_events_total", "Supervision events processed, with those that services cause one another.", "type",
       values=(("type", (*EVENTS.values(), OTHER)),), initial=(*EVENTS.values(), OTHER)),
    _g(D, "respawnd_start_parallelism_limit", "Launches that may be in flight at once; +Inf where there is no limit."),
    _g(D, "respawnd_starts_inflight", "Launches without an answer yet."),
    _g(D, "respawnd_config_last_reload_successful", "1 if the last load of the configuration succeeded, else 0."),
    _g(D, "respawnd_config_last_reload_success_timestamp_seconds", "Unix time of the last load that succeeded."),
    _c(D, "respawnd_config_reloads_total", "Loads of the configuration, by result.", "result",
       values=(("result", RESULTS),), initial=RESULTS),
    _c(D, "respawnd_self_restarts_total", "Restarts of the daemon by itself.", "reason",
       values=(("reason", ("operator", "periodic", "upgrade", "loop_stall", "memory", "fds", "thread_dead", "feedback",
                           "crash")),), **LATER),
    _c(D, "respawnd_children_adopted_total", "Lives of an earlier daemon that were found and taken over."),
    _c(D, "respawnd_orphans_reaped_total", "Processes of nobody that were reaped."),
    _g(D, "respawnd_resource_sample_duration_seconds", "Seconds that the last resource sampling took."),
    _g(D, "respawnd_resource_sample_time_seconds", "Unix time of the last resource sampling."),
    _c(D, "respawnd_resource_sample_errors_total", "Readings of a sampling that failed.", "reason",
       values=(("reason", ("permission", "format", "descriptors", "io")),)),
    _g(D, "respawnd_metrics_render_duration_seconds", "Seconds that the render before this one took."),
    _g(D, "respawnd_metrics_series", "Series on the page before this one."),
    _c(D, "respawnd_metrics_series_dropped_total", "Series left out to keep the budget.", "metric"),
    _c(D, "respawnd_metrics_collector_errors_total", "Values of this page that could not be read.", "collector"),
    _c(D, "respawnd_state_write_errors_total", "Writes of the daemon's state that failed.", **LATER),
    _c(D, "respawnd_log_messages_total", "Messages of the daemon's own log.", "level",
       values=(("level", LEVELS),), initial=LEVELS),
    _c(D, "respawnd_trace_spans_total", "Spans, by what became of them.", "result",
       values=(("result", SPANS),), initial=SPANS),
    _c(D, "respawnd_api_requests_total", "Requests answered; handler is the route's pattern.", "handler method code"),
    _c(D, "respawnd_watchdog_pings_total", "Signs of life sent to a watchdog.", "target result",
       values=(("result", RESULTS),), **LATER),
)  # fmt: skip

_DECISIONS = ("applied", "recommended", "awaiting_approval", "cooldown", "budget", "blast_radius", "unconfirmed",
              "stale", "conflict", "invalid", "paused")  # fmt: skip
_CAUSES = ("not_improved", "regressed", "guardrail", "ttl", "operator", "boot")
_FEEDBACK = (
    _g(D, "respawnd_feedback_mode", "1 for the active mode.", "mode",
       values=(("mode", ("off", "observe", "recommend", "approve", "auto")),), **DRAFT),
    _c(D, "respawnd_feedback_signals_total", "Alerts heard.", "source status",
       values=(("source", ("webhook", "poll", "embedded")), ("status", ("firing", "resolved", "rejected"))), **DRAFT),
    _g(D, "respawnd_feedback_last_signal_time_seconds", "Unix time of the last alert heard.", "source", **DRAFT),
    _c(D, "respawnd_feedback_source_errors_total", "Failures to hear a source.", "source", **DRAFT),
    _g(S, "respawnd_feedback_state", "1 for the present state of a loop that is not idle.", "rule state", **DRAFT),
    _c(D, "respawnd_feedback_decisions_total", "What was decided about a suggested action.", "rule decision",
       values=(("decision", _DECISIONS),), **DRAFT),
    _c(D, "respawnd_feedback_actions_total", "Actions taken.", "action result",
       values=(("result", ("ok", "failed")),), **DRAFT),
    _c(D, "respawnd_feedback_rollbacks_total", "Actions taken back.", "action cause",
       values=(("cause", _CAUSES),), **DRAFT),
    _g(S, "respawnd_feedback_override_value", "Tuned value, only while one is in force.", "param", **DRAFT),
    _g(S, "respawnd_feedback_override_baseline", "Configured value, only while one is in force.", "param", **DRAFT),
    _g(S, "respawnd_feedback_override_expiry_time_seconds", "Unix time at which tuning ends.", "param", **DRAFT),
    _g(D, "respawnd_feedback_overlay_generation", "Number of the tuned parameters' last write.", **DRAFT),
    _g(D, "respawnd_feedback_circuit_open", "1 while automation is stopped, else 0.", "scope",
       values=(("scope", ("global", "rule")),), **DRAFT),
    _g(D, "respawnd_feedback_action_tokens", "Actions that the budget still allows.", **DRAFT),
)  # fmt: skip

#: The parts of the page, with their titles.
SECTIONS: tuple[tuple[str, tuple[Family, ...]], ...] = (
    ("Identity", _IDENTITY),
    ("Lifecycle", _LIFECYCLE),
    ("Jobs", _JOBS),
    ("Resources", _RESOURCES),
    ("The daemon", _DAEMON),
    ("Feedback loop", _FEEDBACK),
)
#: Every family, in the order of the page.
FAMILIES: tuple[Family, ...] = tuple(family for _, part in SECTIONS for family in part)
BY_NAME: Mapping[str, Family] = MappingProxyType({family.name: family for family in FAMILIES})
