"""`logistics token`: signed by the data's own key, with nothing running."""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import time

import pytest

from gateway.tokens import Tokens
from infra.settings import PREFIX, WrongSetting, load_settings, with_secrets
from infra.token import seconds_of

ROOT = Path(__file__).parents[2]


def asked(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    command = [sys.executable, "-m", "infra.cli", "token", "--data", str(data), *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def door_of(data: Path) -> Tokens:
    """Verifies as the gateway on this data does."""
    return Tokens(bytes.fromhex(with_secrets(load_settings(data=data)).token_key.get_secret_value()))


def test_the_gateway_on_the_same_data_takes_the_token(tmp_path: Path):
    told = asked(tmp_path, "--tenant", "acme", "--role", "rider", "--subject", "ann", "--ttl", "90m")
    caller = door_of(tmp_path).verify(told.stdout.strip())
    assert (told.returncode, caller.tenant, caller.role, caller.subject) == (0, "acme", "rider", "ann")
    assert 89 * 60 < caller.expires_at - time() <= 90 * 60


def test_for_machines_it_says_what_the_token_carries(tmp_path: Path):
    told = json.loads(asked(tmp_path, "--tenant", "*", "--role", "operator", "--json").stdout)
    assert (told["tenant"], told["role"], told["subject"]) == ("*", "operator", "operator")
    assert door_of(tmp_path).verify(told["token"]).is_platform


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (("--tenant", "acme", "--role", "boss"), "analyst, auditor, dispatcher, integrator, operator, rider"),
        (("--tenant", "acme", "--role", "rider"), "needs --subject: the rider's id"),
        (("--tenant", "Acme!", "--role", "analyst"), "lower-case letters, digits and dashes"),
        (("--tenant", "*", "--role", "analyst"), "only an operator's token is for every tenant"),
        (("--tenant", "acme", "--role", "analyst", "--ttl", "12"), "a number with s, m, h or d"),
        (("--role", "analyst"), "--tenant"),
    ],
)
def test_wrong_use_names_what_is_allowed(tmp_path: Path, arguments: tuple[str, ...], allowed: str):
    told = asked(tmp_path, *arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert allowed in told.stderr


@pytest.mark.parametrize(("ttl", "seconds"), [("90s", 90), ("30m", 1_800), ("12h", 43_200), ("365d", 31_536_000)])
def test_a_ttl_has_a_unit(ttl: str, seconds: int):
    assert seconds_of(ttl) == seconds


@pytest.mark.parametrize("ttl", ["", "0h", "-1h", "1.5h", "366d", "1w", "²h", "12 h", "9999999d"])
def test_a_ttl_that_is_none_is_refused(ttl: str):
    with pytest.raises(WrongSetting, match="at most 365d"):
        seconds_of(ttl)
