"""Whatever does not fit is told in our words, however large the body is."""

from typing import Any

import msgspec
import pytest

from gateway.own_words import in_our_words
from gateway.problems import Problem
from gateway.validation import EXPLAINED_BYTES, as_told, decoded
from schemas.directory import CreateGeofence

DECODER = msgspec.json.Decoder(CreateGeofence)
CIRCLE: dict[str, Any] = {"type": "circle", "center": {"lat": 60, "lon": 24}, "radius_m": 100}
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 0]]


def polygon(*ring: list[float]) -> dict[str, Any]:
    return {"shape": {"type": "polygon", "rings": [list(ring)]}}


@pytest.mark.parametrize(
    ("wrong", "pointer", "words"),
    [
        ({"shape": CIRCLE | {"radius_m": 0}}, "/shape/radius_m", "must be more than 0"),
        ({"shape": CIRCLE | {"radius_m": 1e9}}, "/shape/radius_m", "must be at most 1000000"),
        ({"shape": CIRCLE | {"radius_m": "a"}}, "/shape/radius_m", "must be of type number"),
        (polygon([181, 0], *SQUARE[1:]), "/shape/rings/0/0/0", "must be at most 180"),
        (polygon(*SQUARE[:3]), "/shape/rings/0", "must have at least 4 items"),
        (polygon([0, 0, 7], *SQUARE[1:]), "/shape/rings/0/0", "must have 2 items"),
        ({"dwell_s": 1.5}, "/dwell_s", "must be of type integer or null"),
        ({"outlet": "A B"}, "/outlet", "must match ^[a-z0-9][a-z0-9-]{0,62}$"),
        ({"name": ""}, "/name", "must have at least 1 characters"),
        ({"kind": "zoo"}, "/kind", "cannot be 'zoo'"),
        ({"more": 1}, "", "more is not known here"),
        ({"valid_from": "noon"}, "/valid_from", "must be a time of RFC 3339 with its offset, such as 2026-03-01T12:00:00Z"),
        ({"valid_from": "2026-03-01T12:00:00"}, "/valid_from", "must be a time of RFC 3339 with its offset, such as 2026-03-01T12:00:00Z"),
    ],
)  # fmt: skip
def test_what_msgspec_says_is_said_as_everywhere(wrong: dict[str, Any], pointer: str, words: str):
    body = msgspec.json.encode({"name": "x", "shape": CIRCLE} | wrong)
    with pytest.raises(msgspec.ValidationError) as told:
        DECODER.decode(body)
    error = as_told(told.value)
    assert (error.pointer, error.detail) == (pointer, words)


def test_a_large_body_is_told_of_as_a_small_one():
    big = {"name": "x", "shape": CIRCLE | {"radius_m": 1e9}, "metadata": {"a": "x" * (EXPLAINED_BYTES + 1)}}
    with pytest.raises(Problem) as told:
        decoded(DECODER, CreateGeofence, msgspec.json.encode(big))
    assert [(error.pointer, error.detail) for error in told.value.errors] == [
        ("/shape/radius_m", "must be at most 1000000")
    ]


def test_what_is_said_in_a_form_that_we_do_not_know_is_not_passed_on():
    assert in_our_words("Some new form in `quotes`") == "is not valid"


@pytest.mark.parametrize(
    "shape",
    [
        CIRCLE | {"center": {"lat": 91, "lon": 0}},
        CIRCLE | {"radius_m": 1_000_001},
        polygon([181, 0], *SQUARE[1:])["shape"],
        polygon(*SQUARE[:3])["shape"],
        polygon([0, 0, 7], *SQUARE[1:])["shape"],
        {"type": "corridor", "line": [[0, 0]], "width_m": 10},
        {"type": "corridor", "line": [[0, 0]] * 1_001, "width_m": 10},
        {"type": "corridor", "line": [[0, 0], [1, 0]], "width_m": 0},
        {"type": "multipolygon", "polygons": [[SQUARE]] * 101},
    ],
)
def test_a_shape_that_is_out_of_its_bounds_is_an_invalid_body(shape: dict[str, Any]):
    """As docs/fences.md says; what makes no shape is refused by its own rule."""
    with pytest.raises(Problem) as told:
        decoded(DECODER, CreateGeofence, msgspec.json.encode({"name": "x", "shape": shape}))
    assert told.value.code == "invalid-body"
    assert all(error.pointer.startswith("/shape/") for error in told.value.errors)
