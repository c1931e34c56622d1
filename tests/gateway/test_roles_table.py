"""The table in the docs is the table that decides."""

from pathlib import Path

from gateway.allowed import READERS, SENDERS
from gateway.roles_table import roles_table

DOCS = Path(__file__).parents[2] / "docs" / "roles.md"


def test_the_table_of_roles_in_the_docs_is_current():
    assert DOCS.read_text() == roles_table(), "make it anew: python -m gateway.roles_table > docs/roles.md"


def test_every_command_and_every_read_stands_in_it():
    said = roles_table()
    others = ["`POST /v1/{tenant}/fixes`", "`POST /v1/{tenant}/artefacts/{sha256}/links`"]
    assert said.count("`POST ") == len(SENDERS) + len(others)
    assert all(other in said for other in others)
    assert all(f"`{word}`" in said for word in READERS)
