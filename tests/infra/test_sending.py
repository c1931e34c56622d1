"""What a process is told of a rule that said no."""

from commands.refusals import UnknownDocument
from commands.rider_refusals import CannotReserve
from infra.sending import not_allowed
from schemas.load import Overload
from schemas.message import DocumentId
from streams.process import NotAllowed


def test_why_a_rider_cannot_be_reserved_is_the_reason_and_what_it_is_too_much_of_comes_with_it():
    too_much = Overload(measure="volume_cm3", load=900, limit=800)
    assert not_allowed(CannotReserve(too_much)) == NotAllowed("cannot-reserve", "over_capacity", too_much)
    assert not_allowed(CannotReserve("off_shift")) == NotAllowed("cannot-reserve", "off_shift")


def test_any_other_rule_is_its_own_reason():
    assert not_allowed(UnknownDocument(DocumentId("d-1"))) == NotAllowed("unknown-document", "unknown_document")
