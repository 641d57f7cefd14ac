"""The version, said once: the build, `respawnd --version` and the metrics all read it here."""

from __future__ import annotations

VERSION = "0.1.0"
