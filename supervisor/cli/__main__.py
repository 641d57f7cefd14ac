"""`python -m supervisor.cli` is `respawnd`."""

from supervisor.cli.main import main

main()
