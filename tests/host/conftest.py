"""What several test files of the host share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from supervisor.host.diary import Diary, configure


@pytest.fixture
def diary() -> Iterator[Callable[..., Diary]]:
    """`configure`, whose diaries are closed and whose logger is put back."""
    made: list[Diary] = []
    logger = logging.getLogger("respawnd")
    before = (logger.handlers[:], logger.propagate, logger.level)

    def make(*args: Any, **more: Any) -> Diary:
        made.append(configure(*args, **more))
        return made[-1]

    yield make
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])
    for one in made:
        assert one.close(20)
