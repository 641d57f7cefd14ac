"""What everyone but the loop sees: one immutable picture of the fleet, replaced whole after each turn of change."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen

from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import State, Unit, Want


@frozen
class FleetView:
    """All units at one moment, and all services that are configured, also those without a unit (replicas = 0).

    `number` grows by one with each picture; `booted` and `closing` tell what /-/ready tells.
    """

    units: Mapping[UnitKey, Unit] = field(factory=lambda: MappingProxyType({}))
    number: int = 0
    at: float = 0.0
    booted: bool = False
    closing: bool = False
    specs: Mapping[str, UnitSpec] = field(factory=lambda: MappingProxyType({}))


def desired(unit: Unit) -> bool:
    """Whether this replica should run now: wanted, and not one that has done its work."""
    return unit.want is Want.UP and unit.state is not State.EXITED
