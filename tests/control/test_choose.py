"""Names of commands: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import pytest

from supervisor.control.choose import UnknownNameError, choose
from supervisor.core.model import UnitKey

UNITS = [UnitKey("web", 0), UnitKey("web", 1), UnitKey("web", 2), UnitKey("web-api", 0), UnitKey("db", 0)]
GROUPS = {"back": ("db", "web-api"), "web-group": ("web",), "gone": ("removed",)}


def chosen(*names: str) -> list[str]:
    """The units that names mean, as text."""
    return [str(key) for key in choose(names, UNITS, GROUPS)]


@pytest.mark.parametrize(
    ("names", "units"),
    [
        (["db"], ["db:0"]),
        (["web"], ["web:0", "web:1", "web:2"]),
        (["web:2"], ["web:2"]),
        (["web:*"], ["web:0", "web:1", "web:2"]),
        (["web:[01]"], ["web:0", "web:1"]),
        (["web:"], ["web:0", "web:1", "web:2"]),
        (["web*:0"], ["web:0", "web-api:0"]),
        (["web*"], ["web:0", "web:1", "web:2", "web-api:0"]),
        (["?b"], ["db:0"]),
        (["[!w]*"], ["db:0"]),
        (["back"], ["db:0", "web-api:0"]),
        (["back:*"], ["db:0", "web-api:0"]),
        (["back:w*"], ["web-api:0"]),
        (["back:db"], ["db:0"]),
        (["all"], ["web:0", "web:1", "web:2", "web-api:0", "db:0"]),
        (["db", "web:1", "web"], ["db:0", "web:1", "web:0", "web:2"]),
        (["db", "db", "d*"], ["db:0"]),
        ([], []),
    ],
)
def test_what_names_mean(names: list[str], units: list[str]) -> None:
    """Services, replicas, globs and groups; each unit once, in the order of the names."""
    assert units == chosen(*names)


def test_what_is_called_exactly_so_comes_first() -> None:
    """A service that bears the name of a group, or is called all, is meant before those; so are its replicas."""
    units = [UnitKey("all"), UnitKey("back", 0), UnitKey("back", 1), UnitKey("db")]
    assert (UnitKey("all"),) == choose(["all"], units, GROUPS)
    assert (UnitKey("back", 0), UnitKey("back", 1)) == choose(["back"], units, GROUPS)
    assert (UnitKey("back", 1),) == choose(["back:1"], units, GROUPS)
    assert (UnitKey("db"),) == choose(["back:db"], units, GROUPS)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wbe", "no service wbe (did you mean web?)"),
        ("bakc", "no service bakc (did you mean back?)"),
        ("quux", "no service quux"),
        ("WEB", "no service WEB"),
        ("", "no service "),
        ("x*", "no service x*: nothing matches"),
        ("web:7", "no service web:7: the replicas of web are 0, 1, 2"),
        ("back:web", "no service back:web: the group has db, web-api"),
        ("gone", "no service in group gone"),
    ],
)
def test_what_means_nothing_is_told(name: str, said: str) -> None:
    """A name that means no unit is refused, with what was perhaps meant."""
    with pytest.raises(UnknownNameError) as refused:
        chosen("db", name)
    assert said == str(refused.value)


def test_all_mistakes_at_once() -> None:
    """Two wrong names are two complaints in one line."""
    with pytest.raises(UnknownNameError) as refused:
        chosen("wbe", "db", "dbb")
    assert "no service wbe (did you mean web?); no service dbb (did you mean db?)" == str(refused.value)


def test_many_replicas_are_not_all_listed() -> None:
    """The first ten, and how many more."""
    units = [UnitKey("web", number) for number in range(300)]
    with pytest.raises(UnknownNameError) as refused:
        choose(["web:300"], units, {})
    assert "the replicas of web are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 290 more" in str(refused.value)


def test_nothing_is_configured() -> None:
    """Every name is wrong then, and a glob too; "all" as well, for it would do nothing in silence."""
    with pytest.raises(UnknownNameError, match="no service all: none is configured"):
        choose(["all"], [], {})
