from datetime import timedelta

import pytest
from msgspec.structs import replace
from story import NOON, Story, context, given, minutes, nothing_yet

from commands.context import UnknownOutlet
from commands.refusals import NotAnInterval, TooMany, UnknownDocument
from commands.registries import UnknownDocumentKind
from commands.vehicle import VehicleTaken, VehicleUnfit, decide
from commands.vehicle_state import RetiredVehicle, is_over, status_of, unfit
from commands.vehicle_upkeep import (
    REMEMBERED,
    DueMissing,
    NotYourVehicle,
    OdometerWentBack,
    UnknownMaintenance,
)
from schemas.load import Capacity
from schemas.message import (
    Command,
    DocumentId,
    MaintenanceId,
    NotInThisState,
    OutletSlug,
    Personal,
    RiderId,
    SubjectId,
)
from schemas.vehicle import (
    MAX_OPEN_MAINTENANCE,
    MAX_VEHICLE_DOCUMENTS,
    AssignVehicle,
    CancelVehicleMaintenance,
    ChangeVehicleOutfit,
    CompleteVehicleMaintenance,
    Defect,
    GroundVehicle,
    PlanVehicleMaintenance,
    RecordVehicleMaintenanceDue,
    RegisterVehicle,
    RejectVehicleDocument,
    ReleaseVehicle,
    ReportVehicleInspection,
    ReportVehicleOdometer,
    RetireVehicle,
    ReturnVehicleToService,
    SubmitVehicleDocument,
    VehicleAssigned,
    VehicleDocumentExpiryWarned,
    VehicleDocumentRejected,
    VehicleDocumentSubmitted,
    VehicleDocumentVerified,
    VehicleFitnessStated,
    VehicleGrounded,
    VehicleInspectionFailed,
    VehicleInspectionPassed,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleOdometerReported,
    VehicleOutfitChanged,
    VehicleRegistered,
    VehicleReleased,
    VehicleRetired,
    VehicleReturnedToService,
    VerifyVehicleDocument,
    WarnVehicleDocumentExpiry,
)

ANN, BOB = RiderId("ann"), RiderId("bob")
INSURANCE, OIL = DocumentId("d-1"), MaintenanceId("m-1")
SMALL = Capacity(weight_g=200_000, volume_cm3=800_000, parcels=40)
LARGE = Capacity(weight_g=900_000, volume_cm3=6_000_000, parcels=200)

REGISTERED = VehicleRegistered(
    kind="van",
    plate=Personal(SubjectId("a-1"), "ABC-123"),
    capacity=SMALL,
    range_km=300,
    temperatures=["ambient", "frozen"],
    outlet=OutletSlug("kamppi"),
    odometer_km=1_000,
    external_reference=None,
    source="shop",
    metadata={},
)
TO_ANN = VehicleAssigned(rider_id=ANN)
GOES_TO_A_RIDER = ("VehicleAssigned", "VehicleFitnessStated")
NO_LONGER_ANNS = VehicleFitnessStated(rider_id=ANN, number=1, fitness=None)
GROUNDED = VehicleGrounded(reason_code="flat_tyre", note=None)
RETIRED = VehicleRetired(reason_code="sold")
SUBMITTED = VehicleDocumentSubmitted(document_id=INSURANCE, kind="vehicle_insurance", number=None)
VERIFIED = VehicleDocumentVerified(
    document_id=INSURANCE,
    kind="vehicle_insurance",
    valid_from=minutes(-60),
    expires_at=minutes(60),
    warn_at=minutes(60) - timedelta(days=14),
)
PLANNED = VehicleMaintenancePlanned(maintenance_id=OIL, kind="oil_change", due_at=minutes(30), due_km=1_500)
BY_DATE = VehicleMaintenanceFellDue(maintenance_id=OIL, trigger="date")
BY_DISTANCE = VehicleMaintenanceFellDue(maintenance_id=OIL, trigger="distance")
COMPLETED = VehicleMaintenanceCompleted(maintenance_id=OIL)
CANCELLED = VehicleMaintenanceCancelled(maintenance_id=OIL, reason_code="changed")

ASSIGN = AssignVehicle(rider_id="ann")
PLAN = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_at=minutes(30), due_km=1_500)
SUBMIT = SubmitVehicleDocument(document_id="d-1", kind="vehicle_insurance", number="P-7")
VERIFY = VerifyVehicleDocument(document_id="d-1", valid_from=minutes(-60), expires_at=minutes(60))
FIRE = RecordVehicleMaintenanceDue(maintenance_id=OIL)


def read(km: int, minute: float = 0) -> ReportVehicleOdometer:
    return ReportVehicleOdometer(odometer_km=km, observed_at=minutes(minute))


def inspect(word: str, minute: float, *severities: str, km: int | None = None) -> ReportVehicleInspection:
    defects = [Defect(code="brakes", severity=severity) for severity in severities]  # type: ignore[arg-type]
    return ReportVehicleInspection(inspection_id=word, observed_at=minutes(minute), odometer_km=km, defects=defects)


def unfitness(story: Story) -> object:
    return story.refuses(VehicleUnfit).values()["code"]


# Registered, and what it carries


def test_a_vehicle_is_registered_with_its_plate_sealed_under_its_own_subject():
    register = RegisterVehicle(
        kind="van",
        plate="ABC-123",
        capacity=SMALL,
        range_km=300,
        temperatures=["frozen", "ambient", "frozen"],
        outlet="kamppi",
        odometer_km=1_000,
    )
    nothing_yet("vehicle").when(register).then(REGISTERED)


def test_a_vehicle_without_plate_or_home_carries_what_is_ambient():
    story = nothing_yet("vehicle").when(RegisterVehicle(kind="bicycle", capacity=SMALL, source="erp")).happened()
    assert (story.state.temperatures, story.state.outlet, story.state.odometer_km) == (("ambient",), None, 0)
    assert status_of(story.state) == "available"


def test_a_vehicle_is_at_home_where_the_tenant_has_an_outlet():
    register = RegisterVehicle(kind="van", capacity=SMALL, outlet="nowhere")
    nothing_yet("vehicle").when(register).refuses(UnknownOutlet)


def test_a_vehicle_is_registered_once():
    again = RegisterVehicle(kind="van", capacity=SMALL)
    assert given(REGISTERED).when(again).refuses(NotInThisState).values()["actual"] == "available"
    assert given(REGISTERED, RETIRED).when(again).refuses(NotInThisState).values()["actual"] == "retired"


def test_its_outfit_changes_as_a_whole_and_the_same_outfit_is_no_change():
    given(REGISTERED).when(ChangeVehicleOutfit(capacity=LARGE)).then(
        VehicleOutfitChanged(capacity=LARGE, range_km=None, temperatures=["ambient"])
    )
    same = ChangeVehicleOutfit(capacity=SMALL, range_km=300, temperatures=["frozen", "ambient"])
    given(REGISTERED).when(same).then()
    changed = given(REGISTERED).when(ChangeVehicleOutfit(capacity=LARGE, temperatures=["chilled"])).happened()
    assert (changed.state.capacity, changed.state.temperatures) == (LARGE, ("chilled",))


# Documents


def test_a_document_is_submitted_with_its_number_sealed_and_a_repeat_is_quiet():
    story = given(REGISTERED).when(SUBMIT)
    story.then(
        VehicleDocumentSubmitted(
            document_id=INSURANCE, kind="vehicle_insurance", number=Personal(SubjectId("a-1"), "P-7")
        )
    )
    story.happened().when(SUBMIT).then()


def test_a_document_of_the_same_id_with_other_contents_is_refused():
    story = given(REGISTERED).when(SUBMIT).happened()
    other = SubmitVehicleDocument(document_id="d-1", kind="vehicle_insurance", number="P-8")
    assert story.when(other).refuses(NotInThisState).values()["actual"] == "submitted"
    story.when(SubmitVehicleDocument(document_id="d-1", kind="roadworthiness", number="P-7")).refuses(NotInThisState)


def test_a_repeated_document_is_known_by_its_number_though_that_is_sealed():
    number = Personal(SubjectId("a-1"), None, b"sealed", "VehicleDocumentSubmitted.number")
    kept = VehicleDocumentSubmitted(document_id=INSURANCE, kind="vehicle_insurance", number=number)
    vehicle = given(REGISTERED, kept).state
    assert decide(vehicle, SUBMIT, replace(context(), unseal=lambda subject, field, sealed: b'"P-7"')) == []
    with pytest.raises(NotInThisState):
        decide(vehicle, SUBMIT, replace(context(), unseal=lambda subject, field, sealed: b'"P-8"'))


def test_only_kinds_that_the_registry_has_for_vehicles_are_submitted():
    refused = given(REGISTERED).when(SubmitVehicleDocument(document_id="d-1", kind="licence"))
    assert refused.refuses(UnknownDocumentKind).values() == {
        "code": "licence",
        "known": ["vehicle_insurance", "roadworthiness"],
    }


def test_a_vehicle_has_so_many_documents_at_most():
    many = [
        VehicleDocumentSubmitted(document_id=DocumentId(f"d-{n}"), kind="roadworthiness", number=None)
        for n in range(MAX_VEHICLE_DOCUMENTS)
    ]
    new = SubmitVehicleDocument(document_id="new", kind="roadworthiness")
    given(REGISTERED, *many).when(new).refuses(TooMany)
    given(REGISTERED, *many[1:]).when(new).tells("VehicleDocumentSubmitted")


def test_a_document_is_verified_for_a_time_and_a_repeat_is_quiet():
    given(REGISTERED, SUBMITTED).when(VERIFY).then(VERIFIED)
    given(REGISTERED, SUBMITTED, VERIFIED).when(VERIFY).then()
    longer = VerifyVehicleDocument(document_id="d-1", valid_from=minutes(-60), expires_at=minutes(90))
    given(REGISTERED, SUBMITTED, VERIFIED).when(longer).tells("VehicleDocumentVerified")
    empty = VerifyVehicleDocument(document_id="d-1", valid_from=NOON, expires_at=NOON)
    given(REGISTERED, SUBMITTED).when(empty).refuses(NotAnInterval)


def test_a_document_that_was_not_submitted_is_neither_verified_nor_rejected():
    given(REGISTERED).when(VERIFY).refuses(UnknownDocument)
    given(REGISTERED).when(RejectVehicleDocument(document_id="d-1", reason_code="forged")).refuses(UnknownDocument)


def test_a_document_is_rejected_once_even_after_it_was_verified():
    reject = RejectVehicleDocument(document_id="d-1", reason_code="forged")
    rejected = VehicleDocumentRejected(document_id=INSURANCE, reason_code="forged")
    given(REGISTERED, SUBMITTED, VERIFIED).when(reject).then(rejected)
    given(REGISTERED, SUBMITTED, rejected).when(reject).then()
    shut_out = given(REGISTERED, SUBMITTED, VERIFIED, rejected).requiring("vehicle_insurance").when(ASSIGN)
    assert unfitness(shut_out) == "document_missing"


# One rider at a time


def test_a_vehicle_goes_to_one_rider_at_a_time():
    given(REGISTERED).when(ASSIGN).tells(*GOES_TO_A_RIDER)
    given(REGISTERED, TO_ANN).when(ASSIGN).then()
    taken = given(REGISTERED, TO_ANN).when(AssignVehicle(rider_id="bob")).refuses(VehicleTaken)
    assert taken.values() == {"rider_id": "ann"}


def test_a_released_vehicle_goes_to_the_next_rider():
    release = ReleaseVehicle(reason_code="shift_over")
    released = VehicleReleased(rider_id=ANN, reason_code="shift_over")
    given(REGISTERED, TO_ANN).when(release).then(released, NO_LONGER_ANNS)
    given(REGISTERED).when(release).then()
    to_bob = given(REGISTERED, TO_ANN, released).when(AssignVehicle(rider_id="bob")).tells(*GOES_TO_A_RIDER)
    assert to_bob.happened().state.rider_id == BOB


def test_who_has_an_unfit_vehicle_keeps_it_and_hears_no_refusal():
    given(REGISTERED, TO_ANN, GROUNDED).when(ASSIGN).then()


# Fit or not


def test_a_grounded_vehicle_is_assigned_to_nobody_until_it_is_back_in_service():
    ground, back = GroundVehicle(reason_code="flat_tyre"), ReturnVehicleToService()
    given(REGISTERED).when(ground).then(GROUNDED)
    given(REGISTERED, GROUNDED).when(ground).then()
    assert unfitness(given(REGISTERED, GROUNDED).when(ASSIGN)) == "grounded"
    given(REGISTERED, GROUNDED).when(back).then(VehicleReturnedToService())
    given(REGISTERED).when(back).then()
    given(REGISTERED, GROUNDED, VehicleReturnedToService()).when(ASSIGN).tells(*GOES_TO_A_RIDER)


def test_a_required_document_must_be_there_and_verified():
    def shop(*history: object) -> Story:
        return given(REGISTERED, *history).requiring("vehicle_insurance").when(ASSIGN)  # type: ignore[arg-type]

    assert unfitness(shop()) == "document_missing"
    assert unfitness(shop(SUBMITTED)) == "document_missing"
    shop(SUBMITTED, VERIFIED).tells(*GOES_TO_A_RIDER)
    other = shop(SUBMITTED, VERIFIED).requiring("vehicle_insurance", "roadworthiness")
    assert other.refuses(VehicleUnfit).values() == {"code": "document_missing", "document_kind": "roadworthiness"}


def test_a_document_counts_from_its_first_moment_until_just_before_its_last():
    story = given(REGISTERED, SUBMITTED, VERIFIED).requiring("vehicle_insurance").when(ASSIGN)
    assert unfitness(story.at(minutes(-61))) == "document_expired"
    story.at(minutes(-60)).tells(*GOES_TO_A_RIDER)
    story.at(minutes(59)).tells(*GOES_TO_A_RIDER)
    assert unfitness(story.at(minutes(60))) == "document_expired"


def test_a_document_verified_late_counts_from_the_time_it_was_valid_from():
    before = given(REGISTERED, SUBMITTED).state
    after = given(REGISTERED, SUBMITTED).at(minutes(50)).when(VERIFY).happened().state
    assert unfit(before, ["vehicle_insurance"], minutes(-30)) == "document_missing"
    assert unfit(after, ["vehicle_insurance"], minutes(-30)) is None


def test_of_two_documents_of_a_kind_one_valid_one_is_enough():
    other = DocumentId("d-2")
    renewed = (
        VehicleDocumentSubmitted(document_id=other, kind="vehicle_insurance", number=None),
        VehicleDocumentVerified(
            document_id=other,
            kind="vehicle_insurance",
            valid_from=minutes(60),
            expires_at=minutes(120),
            warn_at=minutes(60),
        ),
    )
    story = given(REGISTERED, SUBMITTED, VERIFIED, *renewed).requiring("vehicle_insurance").when(ASSIGN)
    story.at(minutes(60)).tells(*GOES_TO_A_RIDER)
    story.at(minutes(59)).tells(*GOES_TO_A_RIDER)


def test_what_is_worst_is_told_first():
    state = given(REGISTERED, PLANNED, BY_DATE, GROUNDED).when(inspect("i-1", 0, "major")).happened().state
    assert unfit(state, ["roadworthiness"], NOON) == "grounded"
    back = given(REGISTERED, PLANNED, BY_DATE).when(inspect("i-1", 0, "major")).happened()
    assert unfit(back.state, ["roadworthiness"], NOON) == "inspection_failed"
    passed = back.when(inspect("i-2", 0)).happened().state
    assert unfit(passed, ["roadworthiness"], NOON) == "document_missing"
    assert unfit(passed, [], NOON) == "maintenance_overdue"
    assert unfit(given(REGISTERED, RETIRED).state, [], NOON) == "retired"


# Inspections


def test_an_inspection_passes_with_minor_defects_at_most():
    given(REGISTERED).when(inspect("i-1", -5)).then(
        VehicleInspectionPassed(inspection_id="i-1", observed_at=minutes(-5), odometer_km=None, defects=[])
    )
    minor = Defect(code="brakes", severity="minor")
    given(REGISTERED).when(inspect("i-1", -5, "minor")).then(
        VehicleInspectionPassed(inspection_id="i-1", observed_at=minutes(-5), odometer_km=None, defects=[minor])
    )


@pytest.mark.parametrize("severity", ["major", "dangerous"])
def test_a_vehicle_that_failed_is_assigned_to_nobody_until_it_passes(severity: str):
    story = given(REGISTERED).when(inspect("i-1", 0, severity))
    defect = Defect(code="brakes", severity=severity)  # type: ignore[arg-type]
    story.then(VehicleInspectionFailed(inspection_id="i-1", observed_at=NOON, odometer_km=None, defects=[defect]))
    story = given(REGISTERED).when(inspect("i-1", 0, "minor", severity)).happened()
    assert unfitness(story.when(ASSIGN)) == "inspection_failed"
    story.at(minutes(10)).when(inspect("i-2", 10)).and_then(ASSIGN).tells(*GOES_TO_A_RIDER)


def test_an_inspection_that_is_told_after_a_later_one_changes_nothing():
    story = given(REGISTERED).when(inspect("i-2", 0)).and_then(inspect("i-1", -30, "major"))
    story.tells("VehicleInspectionFailed").happened().when(ASSIGN).tells(*GOES_TO_A_RIDER)


def test_an_inspection_is_told_once():
    story = given(REGISTERED).when(inspect("i-1", -30)).and_then(inspect("i-2", 0)).happened()
    story.when(inspect("i-1", -30)).then()
    story.when(inspect("i-2", 0)).then()


def test_of_inspections_only_the_last_ones_are_remembered():
    story = given(REGISTERED)
    for number in range(REMEMBERED + 1):
        story = story.when(inspect(f"i-{number}", 0)).happened()
    assert len(story.state.inspections) == REMEMBERED
    story.when(inspect("i-1", 0)).then()
    story.when(inspect("i-0", 0)).tells("VehicleInspectionPassed")


def test_an_inspection_reads_the_odometer_too():
    story = given(REGISTERED, PLANNED).when(inspect("i-1", 0, km=1_500))
    story.then(
        VehicleOdometerReported(odometer_km=1_500, observed_at=NOON),
        BY_DISTANCE,
        VehicleInspectionPassed(inspection_id="i-1", observed_at=NOON, odometer_km=1_500, defects=[]),
    )
    given(REGISTERED).when(inspect("i-1", 0, km=999)).refuses(OdometerWentBack)


# The odometer


def test_the_odometer_goes_up_and_the_same_reading_is_a_quiet_repeat():
    given(REGISTERED).when(read(1_200)).then(VehicleOdometerReported(odometer_km=1_200, observed_at=NOON))
    given(REGISTERED).when(read(1_000)).then()


def test_the_odometer_never_goes_back():
    refused = given(REGISTERED).when(read(999)).refuses(OdometerWentBack)
    assert refused.values() == {"given_km": 999, "known_km": 1_000}


def test_a_true_reading_that_comes_late_is_neither_refused_nor_news():
    story = given(REGISTERED, VehicleOdometerReported(odometer_km=1_200, observed_at=NOON))
    story.when(read(1_100, -10)).then()
    story.when(read(1_200, -10)).then()
    story.when(read(1_201, -10)).refuses(OdometerWentBack)
    story.when(read(1_201)).tells("VehicleOdometerReported")
    story.at(minutes(5)).when(read(1_100, 5)).refuses(OdometerWentBack)


def test_a_clock_that_runs_ahead_reads_no_later_than_now():
    given(REGISTERED).when(read(1_200, 90)).then(VehicleOdometerReported(odometer_km=1_200, observed_at=NOON))
    told = given(REGISTERED).when(inspect("i-1", 90)).decided()
    assert [event.observed_at for event in told] == [NOON]  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [read(1_200), inspect("i-1", 0)], ids=["odometer", "inspection"])
def test_a_rider_reports_of_the_vehicle_that_they_have_and_of_no_other(command: Command):
    assert given(REGISTERED, TO_ANN).by("ann").when(command).decided()
    refused = given(REGISTERED, TO_ANN).by("bob").when(command).refuses(NotYourVehicle)
    assert refused.values() == {"actor": "bob"}
    given(REGISTERED).by("ann").when(command).refuses(NotYourVehicle)
    assert given(REGISTERED, TO_ANN).by("dora", "dispatcher").when(command).decided()


# Maintenance


def test_maintenance_is_planned_for_a_date_for_a_distance_or_for_what_comes_first():
    given(REGISTERED).when(PLAN).then(PLANNED)
    given(REGISTERED, PLANNED).when(PLAN).then()
    given(REGISTERED, PLANNED, BY_DATE).when(PLAN).then()
    given(REGISTERED).when(PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change")).refuses(DueMissing)


def test_maintenance_falls_due_when_its_date_has_come_and_never_before():
    given(REGISTERED, PLANNED).at(minutes(29)).when(FIRE).then()
    given(REGISTERED, PLANNED).at(minutes(30)).when(FIRE).then(BY_DATE)


def test_firing_late_or_twice_changes_nothing():
    late = minutes(90)
    given(REGISTERED, PLANNED, BY_DATE).at(late).when(FIRE).then()
    given(REGISTERED, PLANNED, BY_DISTANCE).at(late).when(FIRE).then()
    given(REGISTERED, PLANNED, COMPLETED).at(late).when(FIRE).then()
    given(REGISTERED, PLANNED, CANCELLED).at(late).when(FIRE).then()
    given(REGISTERED, PLANNED, CANCELLED, RETIRED).at(late).when(FIRE).then()
    given(REGISTERED).at(late).when(FIRE).then()
    nothing_yet("vehicle").at(late).when(FIRE).then()


def test_a_deadline_of_a_date_that_was_moved_changes_nothing():
    moved = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_at=minutes(60))
    story = given(REGISTERED, PLANNED).when(moved).tells("VehicleMaintenancePlanned").happened()
    story.at(minutes(30)).when(FIRE).then()
    story.at(minutes(60)).when(FIRE).then(BY_DATE)


def test_maintenance_falls_due_with_the_reading_that_reaches_it():
    given(REGISTERED, PLANNED).when(read(1_499)).tells("VehicleOdometerReported")
    due = VehicleOdometerReported(odometer_km=1_500, observed_at=NOON)
    given(REGISTERED, PLANNED).when(read(1_500)).then(due, BY_DISTANCE)
    given(REGISTERED, PLANNED, BY_DATE).when(read(1_500)).then(due)
    given(REGISTERED, PLANNED, COMPLETED).when(read(1_500)).then(due)


def test_maintenance_that_is_planned_too_late_is_due_at_once():
    by_date = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_at=NOON)
    given(REGISTERED).when(by_date).then(
        VehicleMaintenancePlanned(maintenance_id=OIL, kind="oil_change", due_at=NOON, due_km=None), BY_DATE
    )
    by_distance = PlanVehicleMaintenance(maintenance_id="m-1", kind="oil_change", due_km=1_000)
    given(REGISTERED).when(by_distance).then(
        VehicleMaintenancePlanned(maintenance_id=OIL, kind="oil_change", due_at=None, due_km=1_000), BY_DISTANCE
    )


def test_maintenance_without_a_date_never_falls_due_by_one():
    far = VehicleMaintenancePlanned(maintenance_id=OIL, kind="oil_change", due_at=None, due_km=9_000)
    given(REGISTERED, far).at(minutes(10_000)).when(FIRE).then()
    given(REGISTERED, far).at(minutes(10_000)).when(ASSIGN).tells(*GOES_TO_A_RIDER)


def test_a_vehicle_is_overdue_from_the_date_on_whether_or_not_the_deadline_has_fired():
    story = given(REGISTERED, PLANNED).when(ASSIGN)
    story.at(minutes(29)).tells(*GOES_TO_A_RIDER)
    assert unfitness(story.at(minutes(30))) == "maintenance_overdue"
    assert unfitness(given(REGISTERED, PLANNED, BY_DISTANCE).when(ASSIGN)) == "maintenance_overdue"


def test_maintenance_that_is_done_or_off_holds_nobody_back():
    complete = CompleteVehicleMaintenance(maintenance_id="m-1")
    cancel = CancelVehicleMaintenance(maintenance_id="m-1", reason_code="changed")
    given(REGISTERED, PLANNED, BY_DATE).when(complete).then(COMPLETED)
    given(REGISTERED, PLANNED, BY_DATE).when(cancel).then(CANCELLED)
    for closed in (COMPLETED, CANCELLED):
        given(REGISTERED, PLANNED, BY_DATE, closed).at(minutes(90)).when(ASSIGN).tells(*GOES_TO_A_RIDER)


def test_maintenance_is_closed_once_and_stays_closed():
    complete = CompleteVehicleMaintenance(maintenance_id="m-1")
    cancel = CancelVehicleMaintenance(maintenance_id="m-1", reason_code="changed")
    given(REGISTERED, PLANNED, COMPLETED).when(complete).then()
    given(REGISTERED, PLANNED, CANCELLED).when(cancel).then()
    given(REGISTERED, PLANNED, COMPLETED).when(cancel).refuses(NotInThisState)
    given(REGISTERED, PLANNED, CANCELLED).when(complete).refuses(NotInThisState)
    again = given(REGISTERED, PLANNED, COMPLETED).when(PLAN).refuses(NotInThisState)
    assert again.values()["actual"] == "completed"


def test_maintenance_that_nobody_planned_is_neither_done_nor_off():
    given(REGISTERED).when(CompleteVehicleMaintenance(maintenance_id="m-1")).refuses(UnknownMaintenance)
    cancel = CancelVehicleMaintenance(maintenance_id="m-1", reason_code="changed")
    given(REGISTERED).when(cancel).refuses(UnknownMaintenance)


def far_ahead(number: int) -> VehicleMaintenancePlanned:
    return VehicleMaintenancePlanned(
        maintenance_id=MaintenanceId(f"n-{number}"), kind="oil_change", due_at=None, due_km=9_000
    )


def test_so_much_maintenance_is_open_at_most():
    many = [far_ahead(number) for number in range(MAX_OPEN_MAINTENANCE)]
    given(REGISTERED, *many).when(PLAN).refuses(TooMany)
    moved = PlanVehicleMaintenance(maintenance_id="n-0", kind="oil_change", due_km=8_000)
    given(REGISTERED, *many).when(moved).tells("VehicleMaintenancePlanned")
    done = VehicleMaintenanceCompleted(maintenance_id=many[0].maintenance_id)
    given(REGISTERED, *many, done).when(PLAN).then(PLANNED)


def test_of_closed_maintenance_only_the_last_is_remembered_and_all_that_is_open():
    history = [PLANNED]
    for number in range(REMEMBERED + 1):
        closed = VehicleMaintenanceCompleted(maintenance_id=MaintenanceId(f"n-{number}"))
        history += [far_ahead(number), closed]  # type: ignore[list-item]
    story = given(REGISTERED, *history)
    assert len(story.state.maintenance) == REMEMBERED + 1
    assert story.state.maintenance[OIL].is_open
    story.when(CompleteVehicleMaintenance(maintenance_id="n-0")).refuses(UnknownMaintenance)
    story.when(CompleteVehicleMaintenance(maintenance_id="n-1")).then()


# Its status, and its end


def test_its_status_is_what_keeps_it_from_the_next_rider():
    assert status_of(nothing_yet("vehicle").state) == "new"
    assert status_of(given(REGISTERED).state) == "available"
    assert status_of(given(REGISTERED, TO_ANN).state) == "assigned"
    assert status_of(given(REGISTERED, TO_ANN, GROUNDED).state) == "grounded"
    assert status_of(given(REGISTERED, TO_ANN, GROUNDED, VehicleReturnedToService()).state) == "assigned"
    assert status_of(given(REGISTERED, RETIRED).state) == "retired"


def test_a_retired_vehicle_is_taken_from_its_rider_and_nothing_is_planned_for_it():
    given(REGISTERED, TO_ANN, PLANNED, far_ahead(1), COMPLETED).when(RetireVehicle(reason_code="sold")).then(
        VehicleReleased(rider_id=ANN, reason_code="sold"),
        NO_LONGER_ANNS,
        VehicleMaintenanceCancelled(maintenance_id=MaintenanceId("n-1"), reason_code="sold"),
        RETIRED,
    )


def test_retired_is_for_ever():
    story = given(REGISTERED, RETIRED)
    assert story.state == RetiredVehicle(OutletSlug("kamppi"))
    assert is_over(story.state)
    assert not is_over(given(REGISTERED).state)
    story.when(RetireVehicle(reason_code="scrapped")).then()


EVERYTHING_ELSE = (
    ChangeVehicleOutfit(capacity=LARGE),
    SUBMIT,
    VERIFY,
    RejectVehicleDocument(document_id="d-1", reason_code="forged"),
    ASSIGN,
    ReleaseVehicle(reason_code="shift_over"),
    read(1_200),
    inspect("i-1", 0),
    GroundVehicle(reason_code="flat_tyre"),
    ReturnVehicleToService(),
    PLAN,
    CompleteVehicleMaintenance(maintenance_id="m-1"),
    CancelVehicleMaintenance(maintenance_id="m-1", reason_code="changed"),
)


@pytest.mark.parametrize("command", EVERYTHING_ELSE, ids=lambda command: type(command).__name__)
def test_nothing_is_asked_of_a_vehicle_before_it_is_registered_or_after_it_is_retired(command: Command):
    assert nothing_yet("vehicle").when(command).refuses(NotInThisState).values()["actual"] == "new"
    assert given(REGISTERED, RETIRED).when(command).refuses(NotInThisState).values()["actual"] == "retired"


def test_what_was_never_registered_is_not_retired():
    nothing_yet("vehicle").when(RetireVehicle(reason_code="sold")).refuses(NotInThisState)


# Somebody is told before a document expires


def test_so_long_before_as_its_kind_says_somebody_is_warned_once():
    warn = WarnVehicleDocumentExpiry(document_id=INSURANCE)
    story = given(REGISTERED, SUBMITTED, VERIFIED)
    story.at(VERIFIED.warn_at - timedelta(seconds=1)).when(warn).then()
    warned = VehicleDocumentExpiryWarned(
        document_id=INSURANCE, kind="vehicle_insurance", expires_at=minutes(60), covered_until=minutes(60)
    )
    story.at(VERIFIED.warn_at).when(warn).then(warned)
    story.and_then(warn).then()
    given(REGISTERED, SUBMITTED, VERIFIED, warned).when(VERIFY).then()


def test_nobody_is_warned_of_what_is_rejected_or_of_a_vehicle_that_is_gone():
    warn = WarnVehicleDocumentExpiry(document_id=INSURANCE)
    rejected = VehicleDocumentRejected(document_id=INSURANCE, reason_code="forged")
    given(REGISTERED, SUBMITTED, VERIFIED, rejected).when(warn).then()
    given(REGISTERED, SUBMITTED).when(warn).then()
    retired = given(REGISTERED, SUBMITTED, VERIFIED).when(RetireVehicle(reason_code="sold"))
    assert retired.decided()[-1] == VehicleRetired(reason_code="sold", document_ids=[INSURANCE])
    retired.and_then(warn).then()


def test_a_warning_that_another_made_needless_is_given_once_that_other_is_rejected():
    longer = DocumentId("d-2")
    another = VehicleDocumentSubmitted(document_id=longer, kind="vehicle_insurance", number=None)
    takes_over = replace(VERIFIED, document_id=longer, expires_at=minutes(90))
    story = given(REGISTERED, SUBMITTED, VERIFIED, another, takes_over)
    kept_back = story.when(WarnVehicleDocumentExpiry(document_id=INSURANCE)).happened()
    not_covered = VehicleDocumentExpiryWarned(
        document_id=INSURANCE, kind="vehicle_insurance", expires_at=minutes(60), covered_until=minutes(60)
    )
    rejected = VehicleDocumentRejected(document_id=longer, reason_code="forged")
    kept_back.when(RejectVehicleDocument(document_id="d-2", reason_code="forged")).then(rejected, not_covered)
    sooner = VerifyVehicleDocument(document_id="d-2", valid_from=NOON, expires_at=minutes(30))
    assert kept_back.when(sooner).decided()[-1] == not_covered
