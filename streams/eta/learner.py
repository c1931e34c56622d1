"""Learns from journeys that have ended how much longer they took than the router had said.

Each journey teaches at its end, and never before: the model of a moment has seen no journey that was under way then.
"""

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from streams.eta.journey import COLUMNS, Floats, Places
from streams.eta.levels import FARTHEST, Levels
from streams.eta.model import BY_FACTORS, OFFSET_S, QUANTILES, Model, Told, log_router, spread_of
from streams.eta.paces import Missed, longer, paces_of
from streams.eta.trees import LEAF as NO_COLUMN
from streams.eta.trees import Forest, Trees

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

FEWEST_LESSONS = 20
"""Journeys; of fewer no forest is grown."""
MOST_LESSONS = 3_000
MOST_ROWS = 150_000
"""The oldest are forgotten."""
LEARNS_EVERY_S = 1_800.0
TELLS_EVERY_S = 60.0
FORGETS_HALF_IN_S = 4_500.0
"""Of errors: how a city drives now says more than how it drove."""
LIKE_LENGTHS = 0.5
"""Errors of ways so much longer or shorter (log seconds) count for the ones between, by a Gaussian."""
LENGTHS = 12
ALIKE = 3.0
"""How many times fewer journeys there are, as it were, than are counted: those of one hour meet the same streets."""
FEWEST_ERRORS, FEWEST_JOURNEYS = 200, 20
"""Either will do."""
FEWEST_FOR_SPREAD = 2_000
TREES, LEAF = 100, 15
SPREAD_TREES, SPREAD_LEAF = 30, 60
SHARE_OF_COLUMNS = 0.5
THE_END_COUNTS = 3.0
"""As often as a place on the way: it is what journeys are made for."""
THE_BEGINNING_COUNTS = 2.0
"""As often as a fix on the way: more hangs on what is foretold first, and there is one in a journey."""
ELAPSED_S = COLUMNS.index("elapsed_s")


class Lesson(msgspec.Struct, frozen=True):
    """Of a journey that ended at `ended_s` (Unix): rows, the seconds that each took, and which are up to its end."""

    ended_s: float
    rows: Floats
    seconds: Floats
    to_end: npt.NDArray[np.bool_]
    tenant: str = ""
    vehicle: str = ""
    subject: str = ""
    """Whose journey it was."""


class Learned(msgspec.Struct):
    """`ratios` are logarithms of how many times longer it took. `errors` are those of the model that stood when the
    journey ended, None where there was none; `spreads` are as the latest forest tells them."""

    lesson: Lesson
    weights: Floats
    ratios: Floats
    errors: Floats | None = None
    spreads: Floats | None = None


class Learner:
    """`seed` makes the same forests from the same lessons."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._learned: deque[Learned] = deque()
        self._rows = 0
        self._count = 0
        self._middle: Trees | None = None
        self._spread: Trees | None = None
        self.forest: Forest | None = None
        """The latest."""
        self._levels = Levels()
        self._learned_at_s = -np.inf
        self._model = Model(version=BY_FACTORS)
        self._told_at_s = -np.inf

    @property
    def lessons(self) -> int:
        """How many are remembered."""
        return len(self._learned)

    @property
    def taken(self) -> int:
        """How many there were ever."""
        return self._count

    def forget(self, subject: str) -> None:
        """Nothing that is grown from now on knows of this person."""
        self._learned = deque(each for each in self._learned if each.lesson.subject != subject)
        self._rows = sum(len(each.lesson.rows) for each in self._learned)

    def take(self, lesson: Lesson) -> None:
        if not len(lesson.rows):
            return
        length = log_router(lesson.rows)
        ratios = np.log(lesson.seconds + OFFSET_S) - length
        begins = lesson.rows[:, ELAPSED_S] == 0
        each = np.where(lesson.to_end, THE_END_COUNTS, 1.0) * np.where(begins, THE_BEGINNING_COUNTS, 1.0)
        weights = each / np.sqrt(each.sum()) * np.exp(length / 2)
        learned = Learned(lesson, weights, ratios)
        if self._model.errors is not None:
            self._judge(lesson)
        if self._middle is not None:
            learned.errors = ratios - self._middle.predict(lesson.rows)
            learned.spreads = spread_of(self._spread, lesson.rows)
        self._learned.append(learned)
        self._rows += len(lesson.rows)
        self._count += 1
        while len(self._learned) > MOST_LESSONS or self._rows > MOST_ROWS:
            self._rows -= len(self._learned.popleft().lesson.rows)

    def _judge(self, lesson: Lesson) -> None:
        """By the model that stood when the journey ended."""
        if lesson.to_end.any():
            told = self._model.forecast(lesson.rows[lesson.to_end], self._model.longer(lesson.tenant, lesson.vehicle))
            below, _, within = (lesson.seconds[lesson.to_end, None] <= told).mean(axis=0).tolist()
            self._levels.met(below, within)

    def model(self, now_s: float) -> Model:
        """As of `now_s` (Unix), for a minute."""
        if now_s - self._told_at_s >= TELLS_EVERY_S:
            self._told_at_s = now_s
            if len(self._learned) >= FEWEST_LESSONS and self._is_due(now_s):
                self._learn()
                self._learned_at_s = now_s
            self._model = self._told(now_s)
        return self._model

    def _is_due(self, now_s: float) -> bool:
        """Now and then, and when it knows twice as much."""
        doubled = self.forest is not None and len(self._learned) >= 2 * self.forest.journeys
        return doubled or now_s - self._learned_at_s >= LEARNS_EVERY_S

    def _learn(self) -> None:
        rows = np.concatenate([each.lesson.rows for each in self._learned])
        weights = np.concatenate([each.weights for each in self._learned])
        ratios = np.concatenate([each.ratios for each in self._learned])
        self._middle = trees_of(forest(TREES, LEAF, self._seed).fit(rows, ratios, sample_weight=weights))
        met = np.concatenate([np.full(len(each.weights), each.errors is not None) for each in self._learned])
        if met.sum() >= FEWEST_FOR_SPREAD:
            errors = np.concatenate([each.errors for each in self._learned if each.errors is not None])
            grown = forest(SPREAD_TREES, SPREAD_LEAF, self._seed)
            self._spread = trees_of(grown.fit(rows[met], np.abs(errors), sample_weight=weights[met]))
            erred = [each for each in self._learned if each.errors is not None]
            spreads = spread_of(self._spread, rows[met])
            ends = np.cumsum([len(each.lesson.rows) for each in erred])
            for each, theirs in zip(erred, np.split(spreads, ends[:-1]), strict=True):
                each.spreads = theirs
        until_s = max(each.lesson.ended_s for each in self._learned)
        name = f"forest-{datetime.fromtimestamp(until_s, UTC):%Y%m%dT%H%M%SZ}-{self._count}"
        self.forest = Forest(name, self._middle, self._spread, len(self._learned), until_s)

    def _told(self, now_s: float) -> Model:
        paces = paces_of([missed(each, each.errors) for each in self._learned if each.errors is not None])
        met = [
            (each, (each.errors - longer(paces, each.lesson.tenant, each.lesson.vehicle)) / each.spreads)
            for each in self._learned
            if each.errors is not None and each.spreads is not None
        ]
        few = sum(len(scaled) for _, scaled in met) < FEWEST_ERRORS and len(met) < FEWEST_JOURNEYS
        if self._middle is None or few:
            return Model(version=BY_FACTORS)
        length = np.concatenate([log_router(each.lesson.rows) for each, _ in met])
        weights = np.concatenate(
            [each.weights * 2.0 ** ((each.lesson.ended_s - now_s) / FORGETS_HALF_IN_S) for each, _ in met]
        )
        scaled = np.concatenate([scaled for _, scaled in met])
        journey = np.repeat(np.arange(len(met)), [len(scaled) for _, scaled in met])
        order = np.argsort(scaled)
        scaled, weights, length, journey = scaled[order], weights[order], length[order], journey[order]
        shortest, longest = np.quantile(length, (0.02, 0.98))
        lengths = np.linspace(float(shortest), float(longest), LENGTHS)
        quantiles = np.array(
            [quantiles_of(scaled, weights * likeness(length, at), journey, self._levels) for at in lengths]
        )
        return Model(f"forest-{self._count}", self._middle, self._spread, Told(lengths, quantiles), paces)


def forest(trees: int, leaf: int, seed: int) -> "ExtraTreesRegressor":
    """Extremely randomised trees (Geurts et al. 2006): of few and noisy journeys they make out more than boosting.

    The library takes two seconds and 60 MB to come in, which nobody needs before there is something to learn."""
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(
        n_estimators=trees, min_samples_leaf=leaf, max_features=SHARE_OF_COLUMNS, random_state=seed
    )


def missed(learned: Learned, errors: Floats) -> Missed:
    lesson = learned.lesson
    return Missed(lesson.tenant, lesson.vehicle, float(np.average(errors, weights=learned.weights)))


def trees_of(forest: "ExtraTreesRegressor") -> Trees:
    """Of a fitted one."""
    grown = [each.tree_ for each in forest.estimators_]
    begins = np.cumsum([0, *(tree.node_count for tree in grown)])
    leaf = np.concatenate([tree.children_left for tree in grown]) < 0
    shift = np.repeat(begins[:-1], [tree.node_count for tree in grown])
    return Trees(
        roots=begins[:-1].astype(np.int32),
        column=np.where(leaf, NO_COLUMN, np.concatenate([tree.feature for tree in grown])).astype(np.int8),
        threshold=np.concatenate([tree.threshold for tree in grown]),
        low=np.where(leaf, 0, np.concatenate([tree.children_left for tree in grown]) + shift).astype(np.int32),
        high=np.where(leaf, 0, np.concatenate([tree.children_right for tree in grown]) + shift).astype(np.int32),
        value=np.concatenate([tree.value[:, 0, 0] for tree in grown]).astype(np.float32),
    )


def likeness(length: Floats, to: float) -> Floats:
    return np.exp(-0.5 * ((length - to) / LIKE_LENGTHS) ** 2)


def quantiles_of(ordered: Floats, weights: Floats, journey: Places, levels: Levels) -> Floats:
    """Weighted, of errors in order. The outer ones are taken further out the fewer journeys the errors are of: those of
    one journey resemble each other, and of few journeys the next may well err more (Vovk et al. 2005)."""
    of_each = np.bincount(journey, weights)
    journeys = of_each.sum() ** 2 / (of_each**2).sum()
    beyond = ALIKE / journeys
    taken = (max(FARTHEST, levels.low - beyond), QUANTILES[1], min(1 - FARTHEST, levels.high + beyond))
    upto = np.cumsum(weights)
    return np.interp(taken, (upto - weights / 2) / upto[-1], ordered)
