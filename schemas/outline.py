"""What a polygon encloses: its outer ring without its holes, in degrees, x to the east."""

import shapely

from schemas.directory import Polygon


def enclosed(polygon: Polygon) -> shapely.Polygon:
    return shapely.Polygon(polygon.rings[0], polygon.rings[1:])
