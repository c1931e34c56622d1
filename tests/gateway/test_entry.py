"""Who comes in: tokens, tenants, roles, rates."""

import time

import jwt
import pytest
import reception
from reception import TOKENS, House, delivery, key

from gateway.allowed import SENDERS
from gateway.commands import OPEN
from gateway.door import Limits
from gateway.rates import Rates
from gateway.tokens import MAX_REMEMBERED, BadToken, Tokens

KEY = b"another key for tests with its 32 bytes and more"
GOOD = {"tenant": "acme", "role": "integrator", "sub": "shop", "iss": "logistics", "aud": "logistics"}


def signed(key: bytes = KEY, algorithm: str = "HS256", **changes: object) -> str:
    now = int(time.time())
    claims = GOOD | {"iat": now, "exp": now + 60} | changes
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=algorithm)


def test_a_token_tells_who_calls():
    caller = Tokens(KEY).verify(Tokens(KEY).issue("acme", "rider", "ann", 60))
    assert (caller.tenant, caller.role, caller.subject) == ("acme", "rider", "ann")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x.y.z",
        signed(b"a key that is not ours, 32 bytes at least"),
        signed(exp=int(time.time()) - 1),
        signed(iss="elsewhere"),
        signed(aud="elsewhere"),
        signed(role="system"),
        signed(role="king"),
        signed(tenant="*"),
        signed(tenant="Not A Slug"),
        signed(tenant=7),
        signed(sub=""),
        signed(sub="two words"),
        signed(iat=None),
        signed(tenant=None),
        jwt.encode(GOOD, None, algorithm="none"),
        signed(algorithm="HS512"),
    ],
)
def test_a_token_that_is_not_ours_is_bad(token):
    with pytest.raises(BadToken):
        Tokens(KEY).verify(token)


def test_a_remembered_token_expires_all_the_same(monkeypatch):
    tokens = Tokens(KEY)
    token = tokens.issue("acme", "rider", "ann", 60)
    tokens.verify(token)
    monkeypatch.setattr("gateway.tokens.time", lambda: time.time() + 61)
    with pytest.raises(BadToken):
        tokens.verify(token)


def test_only_so_many_tokens_are_remembered(monkeypatch):
    monkeypatch.setattr("gateway.tokens.MAX_REMEMBERED", 2)
    tokens = Tokens(KEY)
    for subject in ("a", "b", "c"):
        tokens.verify(tokens.issue("acme", "rider", subject, 60))
    assert len(tokens._known) == 2
    assert MAX_REMEMBERED > 1_000


def test_no_token_is_issued_that_would_not_be_taken():
    for tenant, role in (("*", "dispatcher"), ("acme", "system"), ("A", "rider")):
        with pytest.raises(ValueError, match=r"."):
            Tokens(KEY).issue(tenant, role, "ann", 60)


def test_a_short_key_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(b"short")


async def test_without_a_token_nobody_comes_in(house):
    for headers in ({}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer"}):
        answer = await house.client(headers).post("/v1/acme/tasks", json=delivery())
        assert (answer.status_code, answer.json()["code"]) == (401, "token-missing")
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_with_a_bad_token_nobody_comes_in(house):
    answer = await house.client({"authorization": "Bearer x.y.z"}).post("/v1/acme/tasks", json=delivery())
    assert (answer.status_code, answer.json()["code"]) == (401, "token-invalid")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_the_scheme_is_read_in_any_case(house):
    token = TOKENS.issue("acme", "integrator", "shop", 60)
    answer = await house.client({"authorization": f"bearer {token}"}).post(
        "/v1/acme/tasks", json=delivery(), headers=key("k")
    )
    assert answer.status_code == 201


@pytest.mark.parametrize("role", ["integrator", "dispatcher", "rider", "analyst", "auditor", "operator"])
async def test_each_role_sends_what_the_table_says_and_nothing_else(house: House, role):
    """A refusal by the role comes before the body is read, so an empty one tells them apart."""
    caller = house.caller(role, "someone")
    for command in OPEN:
        if command.route == "/v1/tenants":
            continue
        path = command.route.replace("{tenant}", "acme").replace("{id}", "someone")
        answer = await caller.post(path, content=b"{", headers=key("k") | {"content-type": "application/json"})
        allowed = role in SENDERS[command.cls]
        assert (answer.status_code == 403) == (not allowed), (role, command.cls.__name__, answer.text)
        if not allowed:
            assert answer.json()["values"]["allowed"] == sorted(SENDERS[command.cls])


def test_analysts_and_auditors_change_nothing():
    assert not [cls for cls, roles in SENDERS.items() if roles & {"analyst", "auditor", "system"}]


def test_a_bucket_gives_its_burst_and_then_its_rate():
    rates = Rates(rate_per_s=2, burst=3)
    me = ("acme", "shop")
    assert [rates.wait_s(me, 0.0) for _ in range(4)] == [0, 0, 0, 1]
    assert rates.wait_s(("acme", "other"), 0.0) == 0
    assert [rates.wait_s(me, 0.5), rates.wait_s(me, 0.5)] == [0, 1]
    assert [rates.wait_s(me, 100.0) for _ in range(4)] == [0, 0, 0, 1]


def test_only_so_many_buckets_are_kept(monkeypatch):
    monkeypatch.setattr("gateway.rates.MAX_BUCKETS", 2)
    rates = Rates(1, 1)
    for subject in ("a", "b", "c"):
        rates.wait_s(("acme", subject), 0.0)
    assert len(rates._buckets) == 2


async def test_who_comes_too_often_is_told_when_to_come_again():
    async with reception.house(Limits(rate_per_s=0.1, burst=1)) as house:
        shop = house.caller(subject="busy")
        assert (await shop.get("/v1/acme/tenant")).status_code == 200
        answer = await shop.get("/v1/acme/tenant")
        assert (answer.status_code, answer.json()["code"]) == (429, "rate-limited")
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert (await house.caller(subject="calm").get("/v1/acme/tenant")).status_code == 200
