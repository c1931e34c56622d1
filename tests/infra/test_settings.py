"""Settings: a wrong one is told by its variable, its value and what is allowed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.config import shown
from infra.settings import PREFIX, WrongSetting, example_env, load_settings, with_secrets

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch):
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("LOGISTICS_HTTP_PORT", "70000", "65535"),
        ("LOGISTICS_HTTP_PORT", "abc", "integer"),
        ("LOGISTICS_CITY", "atlantis", "'helsinki' or 'porto'"),
        ("LOGISTICS_PARTITIONS", "0", "greater than or equal to 1"),
        ("LOGISTICS_KAFKA_SECURITY_PROTOCOL", "TLS", "'SASL_SSL'"),
        ("LOGISTICS_LOG_LEVEL", "loud", "'debug'"),
    ],
)
def test_a_wrong_setting_names_the_variable_the_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(WrongSetting) as told:
        load_settings()
    assert variable in str(told.value)
    assert value in str(told.value)
    assert allowed in str(told.value)


def test_all_wrong_settings_are_told_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGISTICS_HTTP_PORT", "abc")
    monkeypatch.setenv("LOGISTICS_CITY", "atlantis")
    with pytest.raises(WrongSetting, match=r"(?s)LOGISTICS_CITY.*LOGISTICS_HTTP_PORT"):
        load_settings()


def test_a_wrong_secret_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGISTICS_TOKEN_KEY", "not-hexadecimal-at-all")
    with pytest.raises(WrongSetting, match=r"LOGISTICS_TOKEN_KEY.*hexadecimal") as told:
        load_settings()
    assert "not-hexadecimal-at-all" not in str(told.value)


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "token").write_text("ab" * 32 + "\n")
    monkeypatch.setenv("LOGISTICS_TOKEN_KEY_FILE", str(tmp_path / "token"))
    assert load_settings().token_key.get_secret_value() == "ab" * 32


def test_a_secret_file_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGISTICS_POSTGRES_FILE", "/nowhere/dsn")
    with pytest.raises(WrongSetting, match="LOGISTICS_POSTGRES_FILE=/nowhere/dsn: No such file"):
        load_settings()


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGISTICS_TOKEN_KEY", "ab" * 32)
    monkeypatch.setenv("LOGISTICS_TOKEN_KEY_FILE", "/somewhere")
    with pytest.raises(WrongSetting, match="choose one"):
        load_settings()


def test_secrets_that_are_not_set_are_made_once_for_their_owner_only(tmp_path: Path):
    first = with_secrets(load_settings(data=tmp_path))
    again = with_secrets(load_settings(data=tmp_path))
    assert first.server_secret.get_secret_value() == again.server_secret.get_secret_value()
    assert len({first.server_secret, first.token_key, first.key_encryption_key}) == 3
    assert (tmp_path / "secrets" / "server_secret").stat().st_mode & 0o777 == 0o600


def test_config_shows_no_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOGISTICS_POSTGRES", "postgresql://me:very-secret@db/x")
    settings = shown(load_settings())
    assert settings["LOGISTICS_POSTGRES"] == "********"
    assert settings["LOGISTICS_TOKEN_KEY"] == ""
    assert settings["LOGISTICS_HTTP_PORT"] == "4103"


def test_routers_are_named_one_after_the_other():
    assert load_settings(osrm=" http://a:5000/ , https://b/osrm,").osrm == "http://a:5000,https://b/osrm"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("a:5000", "'a:5000' is no address such as http://router:5000"),
        ("http://a:5000,,http://b", "'' is no address"),
        ("http://a:99999", "'http://a:99999' is no address"),
        ("http://a http://b", "is no address"),
        ("http://a?key=1", "is no address"),
        ("http://a,http://a/", "one of them is named twice"),
        (",".join(f"http://a:{port}" for port in range(1, 10)), "9 addresses, and 8 are asked at most"),
    ],
)
def test_what_is_no_address_of_a_router_is_told(monkeypatch: pytest.MonkeyPatch, value: str, said: str):
    monkeypatch.setenv("LOGISTICS_OSRM", value)
    with pytest.raises(WrongSetting, match="LOGISTICS_OSRM=") as told:
        load_settings()
    assert said in str(told.value)


def test_the_example_is_current():
    """Else: logistics config --example > infra/example.env"""
    assert (ROOT / "infra" / "example.env").read_text() == example_env()


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["config"], {"LOGISTICS_HTTP_PORT": "abc"}),
        (["serve", "juggler"], {}),
        (["dance"], {}),
        (["config", "--loud"], {}),
    ],
)
def test_wrong_use_ends_with_2_and_no_traceback(arguments: list[str], environment: dict[str, str]):
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr
