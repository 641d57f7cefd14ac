"""The unit machine drawn from its table: a Mermaid state diagram, the table as Markdown, and the page of both."""

from __future__ import annotations

from supervisor.core.decide import COLUMNS, TABLE
from supervisor.core.handlers import ignore, impossible
from supervisor.core.state import ALIVE, RESTING, State

#: What writes the page; a test compares it with what is committed.
GENERATOR = "python -m tests.core.test_diagram"

_PAGE = """\
# The state machine of a unit

Generated from the table in `supervisor/core/decide.py` by `{generator}`; do not edit.

Each replica of a service is one unit. Its state is what is; what the operator wants (up or down) is kept beside it. A
unit has at most one deadline, which belongs to its state; each life has a number, and news of an older life changes
nothing. Outsiders see eight words: launching reads *starting*, killing reads *stopping*, scheduled reads *waiting*.

Not drawn: a fault inside respawnd sets a unit aside, from any state to fatal.

```mermaid
{diagram}
```

## Every answer

The handler of each event in each state. A blank cell is impossible: raised under test; in production the unit is set
aside, counted and told. A dot is an event that changes nothing, on purpose.

{table}
"""


def mermaid() -> str:
    """The diagram: an arrow from each state to those that its row leads to."""
    lines = ["stateDiagram-v2", "    [*] --> stopped"]
    for state in TABLE:
        targets = (target for target in State if target in TABLE[state].leads_to)
        lines += [f"    {state.value} --> {target.value}" for target in targets]
    lines += ["    classDef alive fill:#dfd", "    classDef resting fill:#eee"]
    lines += [f"    class {state.value} alive" for state in State if state in ALIVE]
    lines += [f"    class {state.value} resting" for state in State if state in RESTING]
    return "\n".join(lines)


def markdown() -> str:
    """The table: handlers by name, as the code calls them."""
    head = ["event", *(state.value for state in TABLE)]
    rows = [head, ["---"] * len(head)]
    for number, column in enumerate(COLUMNS):
        rows.append([column.__name__, *(_cell(TABLE[state].answers[number]) for state in TABLE)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(handler: object) -> str:
    if handler is impossible:
        return ""
    return "·" if handler is ignore else getattr(handler, "__name__", "")


def page() -> str:
    """The whole page, as it is committed in docs/state-machine.md."""
    return _PAGE.format(generator=GENERATOR, diagram=mermaid(), table=markdown())
