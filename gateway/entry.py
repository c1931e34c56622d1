"""Who comes in: a valid token, not too often, into their own tenant."""

from time import monotonic, time
from urllib.parse import parse_qsl

from gateway.allowed import Roles
from gateway.call import Call
from gateway.door import Door
from gateway.parameters import MAX_PARAMETERS
from gateway.problems import Problem, TenantNotKnown, not_found
from gateway.rates import Rates
from gateway.tokens import BadToken, Caller

CHALLENGE = b'Bearer realm="logistics"'


class Entry:
    def __init__(self, door: Door) -> None:
        self._door = door
        self._rates = Rates(door.limits.rate_per_s, door.limits.burst)

    def caller(self, call: Call) -> Caller:
        """Raises Problem: 401, 429."""
        call.caller = caller = self._verified(call)
        self._spend(caller)
        return caller

    def again(self, caller: Caller) -> None:
        """Another request on the connection of someone who was let in. Raises Problem: 401, 429."""
        if caller.expires_at <= time():
            raise Problem("token-invalid", "the token has expired")
        self._spend(caller)

    def _spend(self, caller: Caller) -> None:
        wait_s = self._rates.wait_s((caller.tenant, caller.subject), monotonic())
        if wait_s:
            rate = self._door.limits.rate_per_s
            raise Problem(
                "rate-limited",
                f"{rate:g} requests a second are allowed",
                values={"rate_per_s": rate},
                retry_after_s=wait_s,
            )

    def admitted(self, call: Call, roles: Roles, what: str) -> Caller:
        """Into the path's tenant; a foreign one is as if it were not. Raises Problem: 401, 403, 404, 429."""
        return self.let_in(call, self.caller(call), roles, what)

    def let_in(self, call: Call, caller: Caller, roles: Roles, what: str) -> Caller:
        """Whoever is known already, such as by a ticket. Raises Problem: 403, 404."""
        call.caller = caller
        tenant = call.param("tenant")
        if not caller.is_platform and caller.tenant != tenant:
            raise not_found()
        if self._door.policy.tenant(tenant) is None:
            raise TenantNotKnown(tenant)
        call.tenant, call.live = tenant, self._door.live(tenant)
        permit(caller, roles, what)
        if caller.role == "rider":
            for_oneself(call, caller)
        return caller

    def _verified(self, call: Call) -> Caller:
        scheme, _, token = (call.header(b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            challenge = [(b"www-authenticate", CHALLENGE)]
            raise Problem("token-missing", "the request carries no bearer token", headers=challenge)
        try:
            return self._door.tokens.verify(token.strip())
        except BadToken as bad:
            challenge = [(b"www-authenticate", CHALLENGE + b', error="invalid_token"')]
            raise Problem("token-invalid", str(bad), headers=challenge) from bad


def permit(caller: Caller, roles: Roles, what: str) -> None:
    """Raises Problem: 403."""
    if caller.role not in roles:
        raise Problem(
            "forbidden",
            f"a token of role {caller.role} may not {what}",
            values={"role": caller.role, "allowed": sorted(roles)},
        )


def for_oneself(call: Call, rider: Caller) -> None:
    """A rider asks and tells of themself: who names somebody else is not answered as if they had not. Raises Problem:
    403."""
    if "rider_id" not in call.query:
        return
    try:
        given = parse_qsl(call.query, max_num_fields=MAX_PARAMETERS)
    except ValueError:  # too many, which is told where they are read
        return
    for name, value in given:
        if name == "rider_id" and value != rider.subject:
            raise Problem(
                "another-rider",
                f"rider_id={value[:80]} is not yours: you are {rider.subject}",
                values={"rider_id": value[:80], "allowed": rider.subject},
            )
