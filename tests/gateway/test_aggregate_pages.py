"""The pages of the aggregates in the docs are what the code says."""

from commands.aggregates import AGGREGATES
from gateway.aggregate_pages import PAGES, pages


def test_the_pages_in_the_docs_are_current_and_there_are_no_others():
    standing = {file.name: file.read_text() for file in PAGES.iterdir()}
    assert standing == pages(), "make them anew: python -m gateway.aggregate_pages"


def test_a_page_has_every_command_and_every_event_of_its_aggregate():
    made = pages()
    for known in AGGREGATES.values():
        page = made[f"{known.plural}.md"]
        assert all(f"| {event.__name__} |" in page for event in known.events)
        assert page.count("| `POST ") + page.count("| our own processes |") == len(known.commands)
