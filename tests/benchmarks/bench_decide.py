"""What deciding costs, command by command, and what an event costs on its way to the log and back; without any engine."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from random import Random
from statistics import median
from time import perf_counter_ns
from typing import Any, NamedTuple

import msgspec
from benchmarks.running import table
from lived import REPERTOIRES, RULES, keep
from story import ACME, NOON, context

from commands.aggregates import AGGREGATES
from commands.life import NEW
from schemas import catalog
from schemas.keyring import Keyring
from schemas.message import Command, Event, Refused, SubjectId

STEPS = 60_000
"""Of each kind of aggregate."""
SAMPLES = 30
"""Of each command and of each event, drawn from all that came."""
ROUNDS = 15
KEK = bytes(range(32))


class Decided(NamedTuple):
    state: Any
    command: Command
    context: Any
    events: list[Event]


def test_deciding_and_evolving_each_command_beside_json():
    took = {cls.__name__: costs_us(samples) for cls, samples in decided().items()}
    every = {cls.__name__ for aggregate in AGGREGATES.values() for cls in aggregate.commands}
    told("Decide and evolve, by command", "json.loads(json.dumps()) of the command", took)
    print(f"  that never changed anything: {', '.join(sorted(every - took.keys()))}")


def test_writing_and_reading_each_event_beside_msgspec_json():
    took = {cls.__name__: written_us(samples) for cls, samples in events().items()}
    told("An event sealed and written, read and opened, by type", "msgspec.json encode and decode of the event", took)
    personal = {cls.__name__ for cls, known in catalog.BY_CLASS.items() if known.sealing is not None} & took.keys()
    print(f"  median of the {len(personal)} with personal data: {median(median(took[n][0]) for n in personal):.1f} µs")


def told(title: str, peer: str, took: dict[str, tuple[list[float], list[float]]]) -> None:
    """`took`: µs by name, ours and the peer's."""
    slowest_first = sorted(((median(ours), name) for name, (ours, _) in took.items()), reverse=True)
    of_medians = median(us for us, _ in slowest_first)
    of_peers = median(median(theirs) for _, theirs in took.values())
    rows = [
        ("types", f"{len(took)}"),
        ("median of their medians", f"{of_medians:.1f} µs"),
        ("median of all", f"{median(us for ours, _ in took.values() for us in ours):.1f} µs"),
        (f"{peer}", f"{of_peers:.1f} µs"),
        ("ours beside it", f"{of_medians / of_peers:.1f} x"),
        *((f"of the slowest five: {name}", f"{us:.1f} µs") for us, name in slowest_first[:5]),
    ]
    table(title, rows)


def decided() -> dict[type[Command], list[Decided]]:
    """Of each command some that changed something, in whatever states lives came to."""
    found: defaultdict[type[Command], list[Decided]] = defaultdict(list)
    for kind in AGGREGATES:
        live(kind, found)
    return found


def live(kind: str, found: dict[type[Command], list[Decided]]) -> None:
    """As `lived` does, which tells no states."""
    aggregate, draw, seen = AGGREGATES[kind], Random(1), defaultdict[type[Command], int](int)
    kept: dict[Any, list[Any]] = {NEW: [(aggregate.initial, NOON)]}
    kinds: list[Any] = [NEW]
    for _ in range(STEPS):
        state, now = draw.choice(kept[draw.choice(kinds)])
        now += timedelta(minutes=draw.choice((0, 1, 5, 30)))
        draws, actor, role = draw.choice(REPERTOIRES[kind])
        command, known = draws(draw, now), context(now=now, actor=actor, role=role, rules=RULES)
        try:
            events = aggregate.decide(state, command, known)
        except Refused:
            continue
        if not events:
            continue
        sampled(found[type(command)], Decided(state, command, known, events), seen, draw)
        for event in events:
            state = aggregate.evolve(state, event)
        keep(kept, kinds, (aggregate.life.status(state), *map(type, events)), (state, now), draw)


def sampled(among: list[Decided], one: Decided, seen: dict[type[Command], int], draw: Random) -> None:
    """Each that ever came is as likely to be among them (Vitter's algorithm R)."""
    seen[type(one.command)] += 1
    if len(among) < SAMPLES:
        among.append(one)
    elif (place := draw.randrange(seen[type(one.command)])) < SAMPLES:
        among[place] = one


def costs_us(samples: list[Decided]) -> tuple[list[float], list[float]]:
    """Ours, and the peer's."""
    kind = next(known for known in AGGREGATES.values() if type(samples[0].command) in known.commands)

    def decide_and_evolve(one: Decided) -> None:
        state = one.state
        for event in kind.decide(state, one.command, one.context):
            state = kind.evolve(state, event)

    commands = [msgspec.to_builtins(one.command) for one in samples]
    return each_us(decide_and_evolve, samples), each_us(there_and_back, commands)


def there_and_back(command: Any) -> None:
    json.loads(json.dumps(command))


def events() -> dict[type[Event], list[Event]]:
    found: defaultdict[type[Event], list[Event]] = defaultdict(list)
    for samples in decided().values():
        for one in samples:
            for event in one.events:
                if len(found[type(event)]) < SAMPLES:
                    found[type(event)].append(event)
    return found


def written_us(samples: list[Event]) -> tuple[list[float], list[float]]:
    keyring = Keyring(KEK)
    seal, unseal = keyring.sealer(0, ACME, "a-1"), keyring.unsealer(0, ACME, "a-1")

    def sealed(subject: SubjectId, field: str, plain: bytes) -> bytes:
        """The data key is there, as it is after a subject's first event."""
        if not keyring.knows(0, subject):
            keyring.apply(0, subject, keyring.new_wrapped_key(subject))
        return seal(subject, field, plain)

    def written_and_read(event: Event) -> None:
        catalog.read(catalog.write(event, sealed), unseal)

    def as_json(event: Event) -> None:
        msgspec.json.decode(msgspec.json.encode(event), type=type(event))

    return each_us(written_and_read, samples), each_us(as_json, samples)


def each_us(work: Callable[[Any], None], given: list[Any]) -> list[float]:
    """Of all that is given, each a few times; the first time is not counted."""
    took: list[float] = []
    for each in given:
        work(each)
    for _ in range(ROUNDS):
        for each in given:
            began = perf_counter_ns()
            work(each)
            took.append((perf_counter_ns() - began) / 1_000)
    return took
