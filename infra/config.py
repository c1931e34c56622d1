"""`logistics config`: every setting, what it is now and what it means."""

import msgspec
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from infra.settings import PREFIX, Settings, example_env, load_settings

MASK = "********"


def config(as_json: bool) -> None:
    """Raises WrongSetting."""
    settings = load_settings()
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(shown(settings))).decode())
    else:
        Console().print(table(settings))


def print_example() -> None:
    print(example_env(), end="")


def shown(settings: Settings) -> dict[str, str | None]:
    """By variable; of a secret only whether it is set."""
    return {f"{PREFIX}{name.upper()}": _text(getattr(settings, name)) for name in Settings.model_fields}


def _text(value: object) -> str | None:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    return None if value is None else str(value)


def table(settings: Settings) -> Table:
    table = Table("variable", "value", "meaning", box=None)
    for (variable, value), field in zip(shown(settings).items(), Settings.model_fields.values(), strict=True):
        table.add_row(variable, value or "", field.description or "")
    return table
