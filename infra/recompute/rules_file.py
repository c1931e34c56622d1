"""Other rules, from a JSON file: as in `anomalies` of a tenant's rules, and those of `fixes` besides.

What is left out stays as it was at the time of each fix.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from infra.recompute.given import json_of
from schemas.anomaly_rules import AnomalyRules
from schemas.fix_rules import FixRules
from streams.telemetry.anomalies import RulesOf
from streams.telemetry.partition import RulesOf as FixRulesOf
from streams.telemetry.quality import Quality

MOST_BYTES = 1 << 20


class WrittenRules(AnomalyRules, frozen=True, kw_only=True):
    fixes: FixRules = FixRules()


class OtherRules(msgspec.Struct, frozen=True):
    """By name what is given."""

    anomalies: Mapping[str, Any]
    fixes: Mapping[str, Any]

    def of_anomalies(self, quality: Quality) -> RulesOf:
        return lambda tenant, at_ms: replace(quality.anomalies(tenant, at_ms), **self.anomalies)

    def of_fixes(self, quality: Quality) -> FixRulesOf:
        return lambda tenant, at_ms: replace(quality.rules(tenant, at_ms), **self.fixes)


AS_THEY_WERE = OtherRules({}, {})


def rules_in(file: Path) -> OtherRules:
    """Raises WrongSetting, which names each field that does not fit."""
    given, rules = json_of("--rules", file, MOST_BYTES, WrittenRules)
    anomalies = {name: getattr(rules, name) for name in given if name != "fixes"}
    return OtherRules(anomalies, {name: getattr(rules.fixes, name) for name in given.get("fixes", {})})
