"""Tasks: how they are created, changed, given to somebody and looked at."""

from gateway.examples.lumi import (
    AT_HOME,
    AT_OUTLET,
    BAG,
    CONFLICT_ID,
    COUNTER,
    CRATE,
    FROM_SHOP,
    LOCKER,
    ORDER,
    OTHER_RIDER_ID,
    OUTLET,
    PLAN,
    PROOF_ID,
    RIDER_ID,
    SECOND_BAG,
    SECOND_OUTLET,
    TASK_ID,
    TO_DOOR,
    TRANSFER,
    TRANSFER_ID,
    WAVE,
    WAVE_ID,
    at,
)
from schemas.geo import Window
from schemas.goods import InspectedLine, InspectReturn, NewItem, ReceivedLine, ReceiveTransfer
from schemas.message import Command
from schemas.pick_wave import CancelPickWave, CreatePickWave, ReleasePickWave, RetimePickWave
from schemas.plan import CommitPlan, RejectPlan, RequestPlan
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    AuthoriseReturn,
    CancelTask,
    CreateTask,
    DeclineAssignment,
    ForceCompleteTask,
    HoldTask,
    LocateStop,
    ReattemptDelivery,
    RejectProof,
    ReleaseTask,
    RescheduleStop,
    ReviewFieldReport,
    SettleProofDispute,
    UnassignTask,
    UpdateGoodsReady,
)
from schemas.template import CloneTask
from schemas.waiting import WaiveDependency

CLEO = NewContact(name="Cleo Korhonen", phone="+358401234567", reference="customer-881")
HOME = "Tehtaankatu 12 B 31, Helsinki"

CREATED: dict[str, Command] = {
    "A delivery to somebody's door, handed over for a PIN or a photo": CreateTask(
        kind="delivery",
        outlet=OUTLET,
        stops=[
            NewStop(kind="pickup", stop_id=FROM_SHOP, goods_ready_at=at(9, 45)),
            NewStop(
                kind="dropoff",
                stop_id=TO_DOOR,
                location=AT_HOME,
                address=HOME,
                postal_code="FI-00140",
                contact=CLEO,
                window=Window(start=at(10), end=at(12)),
                required_proof=[["pin", "photo"]],
            ),
        ],
        parcels=[
            NewParcel(parcel_id=BAG, barcode="LUMI-10042-1", description="Groceries", weight_g=6_500),
            NewParcel(parcel_id=SECOND_BAG, barcode="LUMI-10042-2", description="Frozen", weight_g=1_200),
        ],
        external_reference=ORDER,
        metadata={"channel": "web"},
    ),
    "A pickup at a sender's, for which the goods come to the outlet": CreateTask(
        kind="pickup",
        outlet=OUTLET,
        stops=[
            NewStop(
                kind="pickup",
                stop_id="sender",
                location=AT_HOME,
                address=HOME,
                contact=CLEO,
                window=Window(start=at(14), end=at(16)),
            ),
            NewStop(kind="dropoff", stop_id=FROM_SHOP),
        ],
        parcels=[NewParcel(parcel_id="parcel-1", description="A coat to be mended", weight_g=1_800)],
        external_reference="pickup-77",
    ),
    "A transfer to another outlet, with the items that will be counted there": CreateTask(
        kind="transfer",
        outlet=OUTLET,
        priority="low",
        stops=[
            NewStop(kind="pickup", stop_id=FROM_SHOP),
            NewStop(kind="dropoff", stop_id=AT_OUTLET, outlet=SECOND_OUTLET, required_proof=[["scan"]]),
        ],
        parcels=[
            NewParcel(
                parcel_id=CRATE,
                barcode="LUMI-T311-1",
                weight_g=14_000,
                items=[
                    NewItem(sku="coffee-500g", quantity=24, description="Coffee, 500 g"),
                    NewItem(sku="oat-milk-1l", quantity=12),
                ],
            )
        ],
        external_reference=TRANSFER,
    ),
    "A return that the shop has authorised": CreateTask(
        kind="return",
        outlet=OUTLET,
        stops=[
            NewStop(kind="pickup", stop_id="customer", location=AT_HOME, address=HOME, contact=CLEO),
            NewStop(kind="dropoff", stop_id=FROM_SHOP),
        ],
        parcels=[NewParcel(parcel_id=BAG, items=[NewItem(sku="kettle-black", quantity=1)])],
        authorisation="RMA-2026-0311",
        external_reference="return-10042",
    ),
    "A collection: the customer comes, and must be 18": CreateTask(
        kind="collection",
        outlet=OUTLET,
        stops=[
            NewStop(
                kind="collection",
                stop_id=COUNTER,
                contact=CLEO,
                window=Window(start=at(15), end=at(18)),
                goods_ready_at=at(14, 30),
                minimum_age=18,
            )
        ],
        parcels=[NewParcel(parcel_id=BAG, description="Wine", weight_g=3_000)],
        external_reference="collection-10043",
    ),
    "A delivery that is picked with others, of goods that a transfer brings": CreateTask(
        kind="delivery",
        outlet=OUTLET,
        stops=[
            NewStop(kind="pickup", stop_id=FROM_SHOP),
            NewStop(kind="dropoff", stop_id=TO_DOOR, location=AT_HOME, address=HOME, contact=CLEO),
        ],
        parcels=[NewParcel(parcel_id=BAG, description="Coffee", weight_g=1_000)],
        depends_on=[TRANSFER_ID],
        pick_wave=WAVE_ID,
        external_reference="order-10044",
    ),
    "A delivery into a locker, which its PIN opens": CreateTask(
        kind="delivery",
        outlet=OUTLET,
        stops=[
            NewStop(kind="pickup", stop_id=FROM_SHOP),
            NewStop(kind="dropoff", stop_id="locker", hub=LOCKER, required_proof=[["pin"]]),
        ],
        parcels=[NewParcel(parcel_id=BAG, description="Tea", weight_g=400)],
        external_reference="order-10045",
    ),
}

CHANGED: dict[str, Command] = {
    "Where the door is, found for its address": LocateStop(stop_id=TO_DOOR, location=AT_HOME),
    "The shop lets the customer send it back": AuthoriseReturn(authorisation="RMA-2026-0311"),
    "The customer asked for the evening": ReattemptDelivery(
        reason_code="customer_asked", window=Window(start=at(16), end=at(18))
    ),
    "The kitchen needs ten minutes more": UpdateGoodsReady(stop_id=FROM_SHOP, ready_at=at(9, 55)),
    "The goods are ready": UpdateGoodsReady(stop_id=FROM_SHOP, ready_at=at(9, 50), actual=True),
    "The customer is at home later": RescheduleStop(
        stop_id=TO_DOOR, window=Window(start=at(12), end=at(14)), reason_code="customer_asked"
    ),
    "The same again, as soon as somebody takes it": CloneTask(external_reference="order-10042-again"),
    "The same again a week later, kept until it is paid": CloneTask(
        external_reference="order-10042-next-week", shift_seconds=7 * 86_400, on_hold=True
    ),
    "The payment is looked at": HoldTask(reason_code="payment_review"),
    "The payment is in order": ReleaseTask(reason_code="payment_cleared"),
    "The transfer will not come, and there is enough in the shop": WaiveDependency(
        on=TRANSFER_ID, reason_code="in_stock"
    ),
    "The customer wants it no more": CancelTask(reason_code="customer_cancelled", note="Called at noon."),
}

GIVEN: dict[str, Command] = {
    "A dispatcher asks this rider": AssignTask(rider_id=RIDER_ID, reason_code="regular_customer"),
    "The rider takes it": AcceptAssignment(),
    "The rider has a flat tyre": DeclineAssignment(reason_code="flat_tyre"),
    "It goes to somebody nearer": UnassignTask(reason_code="too_far"),
}

LOOKED_AT: dict[str, Command] = {
    "The rider's phone was lost, and the customer has the goods": ForceCompleteTask(
        disposition="delivered", reason_code="phone_lost", note="The customer confirmed it by phone."
    ),
    "The photo shows nothing": RejectProof(stop_id=TO_DOOR, proof_id=PROOF_ID, reason_code="blurred"),
    "The customer confirmed the hand-over": SettleProofDispute(decision_code="customer_confirmed"),
    "The report was late and changes nothing": ReviewFieldReport(conflict_id=CONFLICT_ID, decision_code="no_change"),
    "One coffee is missing, one milk has leaked": ReceiveTransfer(
        stop_id=AT_OUTLET,
        lines=[
            ReceivedLine(parcel_id=CRATE, sku="coffee-500g", received=23),
            ReceivedLine(parcel_id=CRATE, sku="oat-milk-1l", received=11),
            ReceivedLine(parcel_id=CRATE, sku="oat-milk-1l", received=1, condition="damaged", note="It has leaked."),
        ],
    ),
    "The kettle is as new and goes back on the shelf": InspectReturn(
        lines=[InspectedLine(parcel_id=BAG, sku="kettle-black", quantity=1, condition="opened", disposition="restock")]
    ),
}
PICKED: dict[str, Command] = {
    "The orders that are picked for half past nine": CreatePickWave(
        outlet=OUTLET, goods_ready_at=at(9, 30), external_reference=WAVE
    ),
    "Picking takes a quarter of an hour more": RetimePickWave(goods_ready_at=at(9, 45)),
    "All is picked": ReleasePickWave(),
    "The shop closes early": CancelPickWave(reason_code="outlet_closed"),
}
PLANNED: dict[str, Command] = {
    "The morning's orders, for whoever is at work": RequestPlan(
        outlets=[OUTLET], until=at(11), seconds=20, external_reference=PLAN
    ),
    "Anew, for three orders and two riders, and what has not begun may change hands": RequestPlan(
        tasks=[TASK_ID, TRANSFER_ID],
        riders=[RIDER_ID, OTHER_RIDER_ID],
        objective="vehicles",
        replan=True,
        commit="at_once",
    ),
    "It is good": CommitPlan(),
    "A rider has called in sick": RejectPlan(reason_code="rider_sick"),
}
EXAMPLES = (CREATED, CHANGED, GIVEN, LOOKED_AT, PICKED, PLANNED)
