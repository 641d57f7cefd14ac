"""A fleet with everything on its page, as the daemon, the sampler and the tracer would fill it together."""

from __future__ import annotations

from metrics.exposition import identify, install
from metrics.recorder import LATENCY, OVERHEAD, SPAWN
from metrics.recorder.store import Usage
from supervisor.core.model import Kind, Restart, UnitKey
from tests.metrics.drill import EPOCH, Drill, spec

HOSTILE = ('say "hi"', "back\\slash", "new\nline", "Ünï©ødé 🐘", "x" * 64)
#: Everything that a sampler can know of a replica.
USAGE = Usage(
    at=1.0, user=12.34, system=5.6, resident=123_456_789, threads=7, processes=3, open_fds=40, max_fds=1024,
    worst_fd_ratio=0.039, read=4096, written=10**12, cpu_share=1.5, memory_limit=2**30, proportional=10**8,
    throttled=0.25, pressure=(1.5, 0.125, 3.0),
)  # fmt: skip


def busy_drill() -> Drill:
    """Run services of every kind of history, with a daemon that tells of itself."""
    job = spec("job", kind=Kind.ONESHOT, restart=Restart.NEVER)
    specs = (spec("web"), spec("idle", autostart=False), spec("three", replicas=3), job, *map(spec, HOSTILE))
    drill = Drill(*specs).boot()
    for key in [key for key in drill.fleet.units if key.service != "idle"]:
        drill.launched(key, after=0.001)
    drill.died(UnitKey("web"), None, 11)
    drill.launched(UnitKey("web"), after=0.02)
    drill.died(UnitKey("job"), 0)
    identify(drill.recorder, "0.1.0", "abc", "/var/lib/respawnd", {"pidfd": True, "psi": False})
    install(drill.recorder)
    drill.recorder.sampled(dict.fromkeys(drill.fleet.units, USAGE))
    drill.recorder.exemplify(LATENCY, "web", 0.02, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", EPOCH)
    for family in (OVERHEAD, SPAWN):
        drill.recorder.exemplify(family, None, 0.001, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", EPOCH)
    return drill
