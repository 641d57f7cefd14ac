"""The families of jobs: lines for those services alone that are oneshots.

Rules: what has not happened yet has no line, but for times, which are then those of the load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metrics.exposition.batch import Batch
from metrics.exposition.text import TAILS, tails_of_seconds, tails_of_times


def _started(batch: Batch) -> list[str]:
    return tails_of_times([job.started for job in batch.jobs])


def _completed(batch: Batch) -> list[str]:
    return tails_of_times([job.completed for job in batch.jobs])


def _succeeded(batch: Batch) -> list[str]:
    return tails_of_times([job.succeeded for job in batch.jobs])


def _took(batch: Batch) -> list[str]:
    return tails_of_seconds([job.took for job in batch.jobs])


def _exit_code(batch: Batch) -> list[str]:
    return ["" if job.code is None else TAILS[job.code] for job in batch.jobs]


def _running(batch: Batch) -> list[str]:
    return [TAILS[sum(unit.pid is not None for unit in members)] for members in batch.job_members]


#: Families of one line for each job at most.
OF_JOBS: Mapping[str, Callable[[Batch], list[str]]] = {
    "respawnd_job_last_start_time_seconds": _started,
    "respawnd_job_last_completion_time_seconds": _completed,
    "respawnd_job_last_success_time_seconds": _succeeded,
    "respawnd_job_last_duration_seconds": _took,
    "respawnd_job_last_exit_code": _exit_code,
    "respawnd_job_running": _running,
}
