"""System tests run a real daemon."""

from tests.system.rig import daemon

__all__ = ["daemon"]
