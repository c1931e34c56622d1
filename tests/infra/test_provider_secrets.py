"""Routing providers' secrets are read by reference, and only those that the settings list."""

from pathlib import Path

import pytest

from infra.provider_secrets import LONGEST, ProviderSecrets
from infra.settings import Settings
from streams.routing.wire import SecretMissing

TOKEN = "pk.secret-word"


def test_a_variable_is_read_and_a_new_value_holds_at_once():
    environment = {"MAPBOX_TOKEN": TOKEN}
    secrets = ProviderSecrets("env:MAPBOX_TOKEN", environment)
    assert secrets("env:MAPBOX_TOKEN") == TOKEN
    environment["MAPBOX_TOKEN"] = "pk.another"
    assert secrets("env:MAPBOX_TOKEN") == "pk.another"


def test_a_file_is_read_without_its_line_end(tmp_path: Path):
    (tmp_path / "mapbox").write_text(f"{TOKEN}\n")
    assert ProviderSecrets(f"file:{tmp_path}/")(f"file:{tmp_path}/mapbox") == TOKEN
    assert ProviderSecrets(f"file:{tmp_path}/mapbox")(f"file:{tmp_path}/mapbox") == TOKEN


@pytest.mark.parametrize(
    "reference", ["env:LOGISTICS_TOKEN_KEY", "env:MAPBOX_TOKEN2", "file:/etc/passwd", "file:/run/keys"]
)
def test_what_the_settings_do_not_list_is_not_read(reference):
    environment = {"LOGISTICS_TOKEN_KEY": TOKEN, "MAPBOX_TOKEN2": TOKEN}
    with pytest.raises(SecretMissing, match="LOGISTICS_PROVIDER_SECRETS does not name it"):
        ProviderSecrets("env:MAPBOX_TOKEN,file:/run/secrets/", environment)(reference)


def test_no_way_leads_out_of_a_folder(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").write_text(TOKEN)
    with pytest.raises(SecretMissing, match="does not name it"):
        ProviderSecrets(f"file:{tmp_path}/in/")(f"file:{tmp_path}/in/../out")


def test_without_the_setting_nothing_is_read():
    with pytest.raises(SecretMissing, match="does not name it"):
        ProviderSecrets("", {"MAPBOX_TOKEN": TOKEN})("env:MAPBOX_TOKEN")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not set"),
        ("two words", "no secret of one word"),
        ("a\nb", "no secret"),
        ("é", "cannot be read"),
        ("x" * (LONGEST + 1), "no secret"),
    ],
)
def test_what_is_no_secret_is_said_without_saying_it(tmp_path: Path, content: str, said: str):
    (tmp_path / "token").write_text(content)
    with pytest.raises(SecretMissing, match=said) as missing:
        ProviderSecrets(f"file:{tmp_path}/")(f"file:{tmp_path}/token")
    assert not content or content not in str(missing.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(SecretMissing, match="cannot be read: FileNotFoundError"):
        ProviderSecrets(f"file:{tmp_path}/")(f"file:{tmp_path}/token")


def test_the_setting_takes_references_alone():
    settings = Settings(provider_secrets=" env:MAPBOX_TOKEN, file:/run/secrets/ ")
    assert settings.provider_secrets == "env:MAPBOX_TOKEN,file:/run/secrets/"
    with pytest.raises(ValueError, match="is no reference"):
        Settings(provider_secrets=TOKEN)
