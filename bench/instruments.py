"""``python -m bench.instruments SERVICES``: prints in JSON how many bytes prometheus-client's instruments hold.

The same page as in bench/render.py. Only what the instruments themselves allocate is counted (tracemalloc), not what
the page was made from; label texts, which they share with it, are not in the figure either.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc

from bench import library, program
from bench.history import History
from metrics.exposition import OPENMETRICS, Exposition


def main(services: int) -> None:
    """Fill a registry, and count."""
    history = History(services)
    page = library.families(Exposition(history.recorder, lambda: history.view).render(OPENMETRICS).decode())
    gc.collect()
    tracemalloc.start()
    registry = library.instruments(page)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    program.answer({"bytes": held, "families": sum(1 for _ in registry.collect())})


if __name__ == "__main__":
    main(int(sys.argv[1]))
