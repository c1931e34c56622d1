"""Writes the Avro schemas of all types to `schemas/avro/` and gives new ones their ids: python -m schemas.generate"""

import json
import sys
from typing import Any

from schemas.catalog import AVRO, TYPES, avsc

IDS = AVRO / "ids.json"
FIRST_ID = 1


def generate() -> dict[str, str]:
    """File name → content: the schemas and `ids.json` as they should stand. A released schema never changes."""
    assigned: dict[str, Any] = json.loads(IDS.read_text()) if IDS.exists() else {"released_up_to": 0, "schemas": {}}
    files = {}
    for name, known in TYPES.items():
        versions = assigned["schemas"].setdefault(name, [])
        text = json.dumps(known.schema, indent=2) + "\n"
        if not versions or changed_since_release(name, versions[-1], text, assigned["released_up_to"]):
            versions.append({"version": len(versions) + 1, "id": next_id(assigned)})
        files[avsc(name, versions[-1]["version"]).name] = text
    files[IDS.name] = json.dumps(assigned, indent=1, sort_keys=True) + "\n"
    return files


def changed_since_release(name: str, latest: dict[str, int], text: str, released_up_to: int) -> bool:
    file = avsc(name, latest["version"])
    return latest["id"] <= released_up_to and file.exists() and file.read_text() != text


def next_id(assigned: dict[str, Any]) -> int:
    used = [v["id"] for versions in assigned["schemas"].values() for v in versions]
    return max(used, default=FIRST_ID - 1) + 1


def main() -> None:
    AVRO.mkdir(exist_ok=True)
    for name, text in generate().items():
        (AVRO / name).write_text(text)
    sys.stdout.write(f"{len(TYPES)} types in {AVRO.name}/\n")


if __name__ == "__main__":
    main()
