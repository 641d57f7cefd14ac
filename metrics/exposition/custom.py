"""The registry that users can add collectors to: prometheus-client's, made when first asked for.

Rules: nothing of the library is imported before that (100 ms, several MB). The registry refuses names of our catalogue
(ValueError, "Duplicated timeseries"), so that no page can hold a family twice. `_created` series are off: they double
the series of counters, and Prometheus reads them only behind a flag.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from metrics.catalog import FAMILIES

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

_END = b"# EOF\n"
_lock = threading.Lock()
_registry: CollectorRegistry | None = None


class _Reserved:
    """Claims the catalogue's names and gives no sample."""

    def describe(self) -> Iterator[Metric]:
        """Name every family of ours."""
        from prometheus_client.metrics_core import Metric  # noqa: PLC0415 - only once the library is in use

        for family in FAMILIES:
            yield Metric(family.base, family.help, family.kind.value)

    def collect(self) -> Iterable[Metric]:
        """Give nothing: ours is rendered elsewhere."""
        return ()


def registry() -> CollectorRegistry:
    """Return the registry whose collectors are on every page after our own families; from any thread."""
    global _registry  # noqa: PLW0603 - one for the process, as prometheus-client's own
    with _lock:
        if _registry is None:
            from prometheus_client import (  # noqa: PLC0415 - see the module's rules
                CollectorRegistry,
                disable_created_metrics,
            )

            disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own
            made = CollectorRegistry(auto_describe=True)
            made.register(_Reserved())
            _registry = made
        return _registry


def users(names: frozenset[str], *, openmetrics: bool) -> bytes:
    """Render the users' families by the library, without the end mark; nothing while nobody asked for the registry.

    Raises what a collector raises.
    """
    if _registry is None:
        return b""
    from prometheus_client import exposition  # noqa: PLC0415 - see the module's rules
    from prometheus_client.openmetrics import exposition as open_exposition  # noqa: PLC0415 - see the module's rules

    render: Callable[[Any], bytes] = open_exposition.generate_latest if openmetrics else exposition.generate_latest
    return render(_registry.restricted_registry(names) if names else _registry).removesuffix(_END)
