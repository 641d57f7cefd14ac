"""The version, said once: the build, `respawnd --version` and the metrics all read it here."""

VERSION = "0.1.0"
