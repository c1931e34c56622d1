"""The index of addresses that the settings name."""

from infra.settings import Settings, WrongSetting
from streams.addresses.index import AddressIndex, NoAddressBook


def addresses_of(settings: Settings) -> AddressIndex | None:
    """None where none is named. Raises WrongSetting."""
    if settings.addresses is None:
        return None
    try:
        return AddressIndex(settings.addresses)
    except NoAddressBook as none:
        raise WrongSetting(f"LOGISTICS_ADDRESSES: {none}") from none
