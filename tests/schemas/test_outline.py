"""A polygon's outline holds what lies within its outer ring and in none of its holes."""

import shapely

from schemas.outline import enclosed

AROUND = [(24.0, 60.0), (25.0, 60.0), (25.0, 61.0), (24.0, 61.0), (24.0, 60.0)]
HOLE = [(24.4, 60.4), (24.6, 60.4), (24.6, 60.6), (24.4, 60.6), (24.4, 60.4)]


def test_a_hole_is_not_enclosed_and_longitude_comes_first():
    outline = enclosed([AROUND, HOLE])
    assert shapely.intersects_xy(outline, [24.2, 24.5, 60.2], [60.2, 60.5, 24.2]).tolist() == [True, False, False]
