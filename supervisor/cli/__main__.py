"""`python -m supervisor.cli` is `respawnd`."""

from __future__ import annotations

from supervisor.cli.main import main

main()
