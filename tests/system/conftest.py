"""System tests run a real daemon."""

from __future__ import annotations

from tests.system.rig import daemon

__all__ = ["daemon"]
