"""How many fixes one device and one tenant may send: a flood of one keeps nobody else waiting."""

from collections import Counter
from collections.abc import Sequence
from time import monotonic

from gateway.door import Limits
from gateway.problems import Problem
from gateway.rates import Rates
from gateway.tokens import Caller
from schemas.fixes import NewFix

type Told = tuple[str, NewFix]
"""A device, and where it was."""


class FixRates:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._devices = Rates(limits.device_fixes_per_s, limits.device_fixes_burst)
        self._tenants = Rates(limits.tenant_fixes_per_s, limits.tenant_fixes_burst)

    def within(self, told: Sequence[Told], tenant: str, caller: Caller) -> tuple[Sequence[Told], dict[str, int]]:
        """What may come in, and which devices may not, until after how many seconds. Raises Problem where none may."""
        now_s = monotonic()
        too_many: dict[str, int] = {}
        for device_id, count in Counter(device_id for device_id, _ in told).items():
            wait_s = self._devices.wait_s((tenant, bucket(device_id, caller)), now_s, count)
            if wait_s:
                too_many[device_id] = wait_s
        taken = [each for each in told if each[0] not in too_many] if too_many else told
        if not taken:
            raise self._of_device(*min(too_many.items(), key=lambda each: each[1]))
        wait_s = self._tenants.wait_s((tenant, ""), now_s, len(taken))
        if wait_s:
            raise self._of_tenant(wait_s)
        return taken, too_many

    def _of_device(self, device_id: str, wait_s: int) -> Problem:
        rate = self._limits.device_fixes_per_s
        told = f"{rate:g} fixes a second are allowed of a device"
        return Problem(
            "too-many-fixes", told, values={"fixes_per_s": rate, "device_id": device_id}, retry_after_s=wait_s
        )

    def _of_tenant(self, wait_s: int) -> Problem:
        rate = self._limits.tenant_fixes_per_s
        told = f"{rate:g} fixes a second are allowed of a tenant"
        return Problem("too-many-fixes", told, values={"fixes_per_s": rate}, retry_after_s=wait_s)


def bucket(device_id: str, caller: Caller) -> str:
    """A rider has one of their own for each device: else one could use up what another's phone may send."""
    return f"{device_id} {caller.subject}" if caller.role == "rider" else device_id
