"""Who decides what happens next: random acts, side by side, each on a service that no other act is about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from attrs import define

from tests.soak import repertoire as acts
from tests.soak import visits
from tests.soak.cast import GUESTS
from tests.soak.ledger import Span
from tests.soak.play import Act, Play
from tests.soak.stage import Key

#: Seconds that an act may take, between two looks at the states while acts wait, and without any.
PATIENCE, OFTEN, SELDOM = 40.0, 0.05, 0.5
#: The configuration file, as something that one act at a time may change.
FILE = "the configuration"


@define(eq=False)
class Role:
    """What may happen to one replica; `claims` are the services (or the file) that nothing else may touch meanwhile."""

    act: Callable[[Play, Key], Act]
    key: Key
    claims: frozenset[str]
    weight: float = 1.0

    @property
    def words(self) -> str:
        """Which act, and on whom."""
        return f"{self.act.__name__} {self.key[0]}:{self.key[1]}"


def _role(act: Callable[[Play, Key], Act], name: str, weight: float = 1.0, replica: int = 0, also: str = "") -> Role:
    return Role(act, (name, replica), frozenset({name, also} - {""}), weight)


def roles() -> Iterable[Role]:
    """All that can happen."""
    for name in (f"web{number}" for number in range(1, 6)):
        yield _role(acts.killed, name, 2)
        yield _role(acts.exits, name)
    yield from (_role(acts.killed, "pair", 1, replica) for replica in range(2))
    for name in (f"managed{number}" for number in range(1, 4)):
        yield from (_role(act, name) for act in (acts.stops, acts.restarts, acts.killed))
    for name in ("burner", "eater", "threader", "forker", "writer", "storer", "opener"):
        yield _role(acts.works, name, 2)
    yield from (_role(acts.killed, name, 0.3) for name in ("eater", "threader", "forker", "writer", "opener", "upon"))
    yield from (_role(acts.hangs, name) for name in ("hung", "deaf"))
    yield from (_role(acts.runs, name) for name in ("job", "failing"))
    yield from (_role(act, "phantom") for act in (acts.vanishes, acts.flickers))
    yield from (_role(act, "polite") for act in (acts.completes, acts.killed))
    yield from (_role(act, "starved") for act in (acts.starves, acts.killed))
    alone = {"slow": acts.changes_mind, "looper": acts.loops, "quitter": acts.quits, "cooler": acts.cools,
             "litter": acts.litters, "graced": acts.starts_with_grace, "idle": acts.idles}  # fmt: skip
    yield from (_role(act, name) for name, act in alone.items())
    yield _role(acts.strays, "litter", 0.5)
    yield _role(acts.takes_down, "base", also="upon")
    yield from (_role(visits.visits, name, 0.7, also=FILE) for name in GUESTS)
    yield _role(visits.scales, "pair", 0.5, also=FILE)
    yield _role(visits.misspells, FILE, 0.3)


class Adversary:
    """Acts under way, and the choice of the next."""

    def __init__(self, play: Play, pace: float) -> None:
        self.done = 0
        self._play, self._pace = play, pace
        self._roles = list(roles())
        self._unseen = list({role.act: role for role in self._roles}.values())
        self._under_way: dict[Role, tuple[Act, Callable[[], bool], float]] = {}
        self._next_look = 0.0

    def open(self, booted: Span) -> None:
        """See the fleet come up: everybody who starts by himself does, and the jobs run."""
        wanted = [(name, replica) for name, part in self._play.cast.parts.items() for replica in range(part.replicas)]
        jobs = [("job", 0), ("failing", 0)]
        for key in wanted:
            if key in jobs:
                self._begin(_role(lambda play, job: acts.ran(play, job, booted, 0), key[0]))
            elif key == ("idle", 0):
                self._play.ledger.resting[key] = "stopped"
            else:
                self._play.ledger.wished(key, booted)
        self.settle(lambda: all(self._seen(key) for key in wanted if key != ("idle", 0)))

    def _seen(self, key: Key) -> bool:
        lives = self._play.stage.lives.get(key)
        return bool(lives) and (lives[-1].up is not None or lives[-1].gone is not None)  # type: ignore[index]

    def rage(self, seconds: float) -> None:
        """Let things happen for so long, then wait until all that began has ended."""
        now = time.monotonic()
        end = now + seconds
        following = now
        while now < end:
            if now >= following:
                self._choose()
                following = now + self._play.random.expovariate(1 / self._pace)
            self._turn(min(end, following))
            now = time.monotonic()
        self.settle()

    def settle(self, also: Callable[[], bool] = lambda: True) -> None:
        """Wait until no act is under way, and `also`."""
        end = time.monotonic() + PATIENCE
        while self._under_way or not also():
            assert time.monotonic() < end, f"under way: {[role.words for role in self._under_way]}"
            self._turn(end)
        self._play.look()

    def _choose(self) -> None:
        """Begin an act: first what was not shown yet, or on a bad day as many deaths at once as there can be."""
        free = [role for role in self._roles if not any(role.claims & other.claims for other in self._under_way)]
        new = next((role for role in free if role in self._unseen), None)
        if new is not None:
            self._unseen.remove(new)
            self._begin(new)
        elif self._play.random.random() < 0.02:
            for role in free:
                if role.act is acts.killed and not any(role.claims & other.claims for other in self._under_way):
                    self._begin(role)
        elif free:
            self._begin(self._play.random.choices(free, [role.weight for role in free])[0])

    def _begin(self, role: Role) -> None:
        self._under_way[role] = (role.act(self._play, role.key), lambda: True, time.monotonic() + PATIENCE)

    def _turn(self, until: float) -> None:
        """Take what comes, look if there is a reason to, and let those acts go on that can."""
        play, now = self._play, time.monotonic()
        play.stage.pump(min(until, self._next_look) - now)
        now = time.monotonic()
        if play.stage.news or now >= self._next_look:
            play.stage.news = False
            play.look()
            self._next_look = time.monotonic() + (OFTEN if self._under_way else SELDOM)
        for role, (act, goes_on, deadline) in list(self._under_way.items()):
            if goes_on():
                self._go_on(role, act, deadline)
            else:
                assert now < deadline, f"{role.words}: what must follow did not, within {PATIENCE:.0f} s"

    def _go_on(self, role: Role, act: Act, deadline: float) -> None:
        try:
            self._under_way[role] = (act, next(act), deadline)
        except StopIteration:
            del self._under_way[role]
            self.done += 1
        except Exception as error:
            error.add_note(f"in the act: {role.words}")
            raise
