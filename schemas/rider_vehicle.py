"""What riders go by."""

from typing import Literal

VehicleKind = Literal["foot", "bicycle", "scooter", "car", "van"]
