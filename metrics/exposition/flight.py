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
    """Makings under way, by what is made; an ended one is forgotten at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight] = {}

    def join(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return what the making of `key` under way gives, or make it. Raises what `make` raised, to all who waited."""
        flight, leading = self._board(key)
        if leading:
            self._lead(key, flight, make)
        return _landed(flight, None) or b""

    def watch(self, key: Hashable, make: Callable[[], bytes], patience: float, *, apart: bool) -> bytes | None:
        """Do the same for at most `patience` seconds, then return None; the making goes on for whoever comes next.

        Where there is nothing to wait for, it is made here, or, with `apart`, in a thread of its own.
        """
        flight, leading = self._board(key)
        if leading and not (apart and self._lead_apart(key, flight, make)):
            self._lead(key, flight, make)
        return _landed(flight, max(0.0, patience))

    def _board(self, key: Hashable) -> tuple[_Flight, bool]:
        """Return the flight of `key`, and whether the caller must lead it."""
        with self._lock:
            flight = self._under_way.get(key)
            if flight is not None:
                return flight, False
            flight = self._under_way[key] = _Flight()
            return flight, True

    def _lead_apart(self, key: Hashable, flight: _Flight, make: Callable[[], bytes]) -> bool:
        thread = threading.Thread(target=self._lead, args=(key, flight, make), name="respawnd-render", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had
            return False
        return True

    def _lead(self, key: Hashable, flight: _Flight, make: Callable[[], bytes]) -> None:
        try:
            flight.page = make()
        except BaseException as error:  # noqa: BLE001 - those who wait must hear of whatever it was
            flight.error = error
        finally:
            with self._lock:
                del self._under_way[key]
            flight.landed.set()


def _landed(flight: _Flight, patience: float | None) -> bytes | None:
    if not flight.landed.wait(patience):
        return None
    if flight.error is not None:
        raise flight.error
    return flight.page
