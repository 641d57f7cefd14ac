"""Single flight: who asks for what is just being made waits for it instead of making it again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable


class _Flight:
    """One making: `landed` is set once `page` or `error` is."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.page = b""
        self.error: BaseException | None = None


class Flights:
    """Makings under way, by what is made; an ended one is forgotten at once, so nothing is ever served from memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight] = {}

    def join(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return what the making of `key` under way gives, or make it. Raises what `make` raised, to all who waited."""
        with self._lock:
            flight = self._under_way.get(key)
            leading = flight is None
            if flight is None:
                flight = self._under_way[key] = _Flight()
        if leading:
            self._lead(key, flight, make)
        flight.landed.wait()
        if flight.error is not None:
            raise flight.error
        return flight.page

    def _lead(self, key: Hashable, flight: _Flight, make: Callable[[], bytes]) -> None:
        try:
            flight.page = make()
        except BaseException as error:  # noqa: BLE001 - those who wait must hear of whatever it was
            flight.error = error
        finally:
            with self._lock:
                del self._under_way[key]
            flight.landed.set()
