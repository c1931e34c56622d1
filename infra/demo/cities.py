"""The cities that can be played: where in them goods wait, and which fences stand."""

from typing import Any

import msgspec


class Shop(msgspec.Struct, frozen=True):
    slug: str
    name: str
    lat: float
    lon: float


class City(msgspec.Struct, frozen=True, kw_only=True):
    """`box` is west, south, east, north in degrees: where the extract's streets hang together."""

    name: str
    zone: str
    box: tuple[float, float, float, float]
    shops: tuple[Shop, ...]
    fences: tuple[dict[str, Any], ...]
    """Bodies of CreateGeofence."""

    @property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude."""
        west, south, east, north = self.box
        return (south + north) / 2, (west + east) / 2


def around(shop: Shop, radius_m: float) -> dict[str, Any]:
    return {
        "name": f"At {shop.name}",
        "kind": "outlet",
        "outlet": shop.slug,
        "shape": {"type": "circle", "center": {"lat": shop.lat, "lon": shop.lon}, "radius_m": radius_m},
        "external_reference": f"at-{shop.slug}",
    }


def zone(reference: str, name: str, kind: str, *rings: tuple[tuple[float, float], ...]) -> dict[str, Any]:
    """Rings of (longitude, latitude), open; the first is the outline, the others are holes."""
    return {
        "name": name,
        "kind": kind,
        "shape": {"type": "polygon", "rings": [[*map(list, ring), list(ring[0])] for ring in rings]},
        "external_reference": reference,
    }


HELSINKI_SHOPS = (
    Shop("rautatientori", "Rautatientori Kitchen", 60.1713, 24.9440),
    Shop("esplanadi", "Esplanadi Bakery", 60.1677, 24.9465),
    Shop("kaisaniemi", "Kaisaniemi Pharmacy", 60.1742, 24.9478),
    Shop("kluuvi", "Kluuvi Books", 60.1700, 24.9490),
    Shop("bulevardi", "Bulevardi Flowers", 60.1656, 24.9385),
)
HELSINKI = City(
    name="helsinki",
    zone="Europe/Helsinki",
    box=(24.9355, 60.1643, 24.9527, 60.1783),
    shops=HELSINKI_SHOPS,
    fences=(
        *(around(shop, 90) for shop in HELSINKI_SHOPS),
        zone(
            "centre",
            "City centre, the station's square apart",
            "zone",
            ((24.9400, 60.1670), (24.9500, 60.1670), (24.9500, 60.1725), (24.9400, 60.1725)),
            ((24.9425, 60.1708), (24.9448, 60.1708), (24.9448, 60.1718), (24.9425, 60.1718)),
        ),
        zone(
            "harbour",
            "Southern harbour",
            "exclusion",
            ((24.9500, 60.1643), (24.9530, 60.1643), (24.9530, 60.1690), (24.9500, 60.1690)),
        ),
    ),
)
PORTO_SHOPS = (
    Shop("aliados", "Aliados", 41.1479, -8.6110),
    Shop("bolhao", "Bolhão", 41.1496, -8.6068),
)
PORTO = City(
    name="porto",
    zone="Europe/Lisbon",
    box=(-8.6235, 41.1225, -8.5925, 41.1575),
    shops=PORTO_SHOPS,
    fences=(
        *(around(shop, 150) for shop in PORTO_SHOPS),
        zone(
            "baixa",
            "Baixa",
            "zone",
            ((-8.6150, 41.1430), (-8.6050, 41.1430), (-8.6050, 41.1520), (-8.6150, 41.1520)),
        ),
    ),
)
CITIES = {city.name: city for city in (HELSINKI, PORTO)}
