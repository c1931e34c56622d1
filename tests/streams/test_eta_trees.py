"""A forest as it is sent: it tells what the one tells that was grown, and what is no forest is refused."""

import msgspec
import numpy as np
import pytest
from numpy.random import default_rng
from sklearn.ensemble import ExtraTreesRegressor

from streams.eta.learner import trees_of
from streams.eta.trees import COLUMNS_OF, NoForest, Trees, packed, unpacked

WIDTH = 4


@pytest.fixture(scope="module")
def rows():
    return default_rng(1).normal(size=(3_000, WIDTH))


@pytest.fixture(scope="module")
def grown(rows) -> ExtraTreesRegressor:
    forest = ExtraTreesRegressor(n_estimators=12, min_samples_leaf=5, random_state=1)
    return forest.fit(rows[:500], np.sin(rows[:500, 0]) + rows[:500, 1])


@pytest.fixture(scope="module")
def trees(grown) -> Trees:
    return trees_of(grown)


def test_it_tells_what_was_grown(grown, trees, rows):
    assert trees.predict(rows) == pytest.approx(grown.predict(rows), abs=1e-6)
    assert trees.predict(rows[:1]) == pytest.approx(grown.predict(rows[:1]), abs=1e-6)
    assert len(trees.predict(rows[:0])) == 0


def test_a_forest_of_one_leaf_tells_one_number(rows):
    stump = trees_of(ExtraTreesRegressor(n_estimators=3, random_state=1).fit(rows[:50], np.full(50, 7.0)))
    assert stump.predict(rows[:5]).tolist() == [7.0] * 5


def test_sent_and_unpacked_it_is_the_same(trees, rows):
    again = unpacked(packed(trees), WIDTH)
    assert np.array_equal(again.predict(rows), trees.predict(rows))


def changed(trees: Trees, **columns: object) -> bytes:
    return packed(msgspec.structs.replace(trees, **columns))


def test_what_is_no_forest_is_refused(trees):
    back = trees.low.copy()
    back[int(np.flatnonzero(trees.column >= 0)[3])] = 0
    beyond = np.where(trees.column >= 0, len(trees.column), 0)
    broken = [
        b"",
        b"no zip",
        packed(trees)[:-20],
        changed(trees, low=back),
        changed(trees, high=beyond),
        changed(trees, value=trees.value[:-1]),
        changed(trees, roots=trees.roots[:0]),
        changed(trees, roots=trees.roots + len(trees.column)),
    ]
    assert [refused(sent) for sent in broken] == [True] * len(broken)
    with pytest.raises(NoForest):
        unpacked(packed(trees), WIDTH - 1)


def refused(sent: bytes) -> bool:
    try:
        unpacked(sent, WIDTH)
    except NoForest:
        return True
    return False


def test_more_than_memory_holds_is_not_unpacked(monkeypatch, trees):
    monkeypatch.setattr("streams.eta.trees.MOST_BYTES", 100)
    with pytest.raises(NoForest, match="MiB"):
        unpacked(packed(trees), WIDTH)


def test_every_column_is_sent():
    assert tuple(COLUMNS_OF) == Trees.__struct_fields__
