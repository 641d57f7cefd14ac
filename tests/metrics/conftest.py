"""Every page that a test renders is held against its format."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pytest

from metrics.exposition import Exposition
from metrics.exposition.kept import GZIP
from tests.metrics.conformance import conforms

if TYPE_CHECKING:
    from metrics.exposition.render import Ask


@pytest.fixture(autouse=True)
def conforming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check each page when it is made."""
    render = Exposition._render

    def checked(exposition: Exposition, ask: Ask, *more: Any) -> bytes:
        body = render(exposition, ask, *more)
        conforms(zlib.decompress(body, GZIP) if ask.packed else body, openmetrics=ask.chosen.openmetrics)
        return body

    monkeypatch.setattr(Exposition, "_render", checked)
