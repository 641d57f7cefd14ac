"""The registry that users can add collectors to: prometheus-client's, made when first asked for.

Rules: nothing of the library is imported before that (100 ms, several MB). The registry refuses names of our catalogue
(ValueError, "Duplicated timeseries"), and what a collector gives without having named it is passed over where the page
has it already: no page can hold a family twice, for which Prometheus would refuse all of it. `_created` series are off:
they double the series of counters, and Prometheus reads them only behind a flag. A collector runs in a thread of its
own and costs no family but its own: one that raises is passed over, one that does not end in time is left behind, and
passed over until it has ended.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from metrics.catalog import FAMILIES

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

#: Seconds that a page waits for collectors that do not end, unless its scraper gives it less.
LONGEST = 5.0
_END = b"# EOF\n"
_TYPE = re.compile(rb"^# TYPE (.+) \S+$", re.MULTILINE)
_OURS = frozenset(name.encode() for family in FAMILIES for name in (family.name, family.base))
_lock = threading.Lock()
_registry: Any = None  # a CollectorRegistry with `members`, its collectors in order


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


def _made() -> Any:
    """Make the registry: the library's, but it tells its collectors."""
    from prometheus_client import (  # noqa: PLC0415 - see the module's rules
        CollectorRegistry,
        disable_created_metrics,
    )

    class Users(CollectorRegistry):
        members: tuple[Any, ...] = ()

        def register(self, collector: Any) -> None:
            super().register(collector)
            self.members = (*self.members, collector)

        def unregister(self, collector: Any) -> None:
            super().unregister(collector)
            self.members = tuple(one for one in self.members if one is not collector)

    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own
    made = Users(auto_describe=True)
    made.register(_Reserved())
    made.members = ()
    return made


def registry() -> CollectorRegistry:
    """Return the registry whose collectors are on every page after our own families; from any thread."""
    global _registry  # noqa: PLW0603 - one for the process, as prometheus-client's own
    with _lock:
        if _registry is None:
            _registry = _made()
        found: CollectorRegistry = _registry
        return found


#: The name of a collector, and what it failed by.
Failure = tuple[str, BaseException]


class _Source(NamedTuple):
    """What is collected in one go; `key` tells it from others while it does not end."""

    key: int | str
    name: str
    collector: Any


class _Pass(threading.Thread):
    """One pass over collectors, as far as it comes."""

    def __init__(self, sources: Sequence[_Source], render: Callable[[Any], bytes]) -> None:
        super().__init__(name="respawnd-collect", daemon=True)
        self._sources, self._render = sources, render
        self.texts: list[tuple[str, bytes]] = []
        self.failed: list[Failure] = []
        self.begun = 0
        self.left_behind = False

    def run(self) -> None:
        """Render one collector after the other; what is left behind stops after the present one."""
        for source in self._sources:
            if self.left_behind:
                return
            self.begun += 1
            try:
                text = self._render(source.collector).removesuffix(_END)
            except BaseException as error:  # noqa: BLE001 - whatever a user's collector raises, even SystemExit
                self.failed.append((source.name, error))
            else:
                self.texts.append((source.name, text))


#: Passes left behind, by what they hang in.
_hanging: dict[int | str, _Pass] = {}


def users(names: frozenset[str], *, openmetrics: bool, patience: float = LONGEST) -> tuple[bytes, list[Failure]]:
    """Render the users' families by the library, without the end mark; nothing while nobody asked for the registry.

    Takes at most `patience` seconds; for one render at a time. Also returns what failed, by the collector's name.
    """
    if _registry is None:
        return b"", []
    from prometheus_client import exposition  # noqa: PLC0415 - see the module's rules
    from prometheus_client.openmetrics import exposition as open_exposition  # noqa: PLC0415 - see the module's rules

    render: Callable[[Any], bytes] = open_exposition.generate_latest if openmetrics else exposition.generate_latest
    sources = [_Source(id(one), type(one).__name__, one) for one in _registry.members]
    if names:
        sources = [_Source("", "registry", _registry.restricted_registry(names))] if sources else []
    texts, failed = _collected(sources, render, patience)
    return _distinct(texts, failed), failed


def _distinct(texts: Sequence[tuple[str, bytes]], failed: list[Failure]) -> bytes:
    """Join what no earlier part of the page has; a collector that gives a family again joins `failed`."""
    seen, parts = set(_OURS), []
    for name, text in texts:
        given = _TYPE.findall(text)
        again = {family for family in given if family in seen or given.count(family) > 1}
        if again:
            failed.append((name, ValueError(f"gives what the page has already: {b', '.join(sorted(again)).decode()}")))
            continue
        seen.update(given)
        parts.append(text)
    return b"".join(parts)


def _collected(
    sources: Sequence[_Source], render: Callable[[Any], bytes], patience: float
) -> tuple[list[tuple[str, bytes]], list[Failure]]:
    """Pass over the sources; where one does not end within half of what is left, go on with those after it."""
    for key in [key for key, one in _hanging.items() if not one.is_alive()]:
        del _hanging[key]
    failed: list[Failure] = [
        (source.name, TimeoutError("has not ended since an earlier page"))
        for source in sources
        if source.key in _hanging
    ]
    left = [source for source in sources if source.key not in _hanging]
    texts: list[tuple[str, bytes]] = []
    while left:
        patience /= 2
        one = _Pass(left, render)
        try:
            one.start()
        except RuntimeError as error:  # no thread to be had
            failed.append(("registry", error))
            break
        one.join(patience)
        one.left_behind = True
        texts += one.texts
        failed += one.failed
        if not one.is_alive():
            break
        stuck = left[max(0, one.begun - 1)]
        _hanging[stuck.key] = one
        failed.append((stuck.name, TimeoutError(f"has not ended within {patience:.3g} s")))
        left = left[one.begun :]
    return texts, failed
