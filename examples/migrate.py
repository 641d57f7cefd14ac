"""The oneshot of the example: brings the data to the schema the worker expects, then ends with 0."""

from __future__ import annotations

from resp import ask, connect

SCHEMA = "3"

with connect(patience=5.0) as redis:
    before = ask(redis, "GET", "schema")
    ask(redis, "SET", "schema", SCHEMA)
    print(f"schema: {'none' if before == '-1' else before} -> {SCHEMA}")
