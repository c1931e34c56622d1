// What states, risks, reasons and facts are called here, and how times and distances are written.

export const ENDED = new Set(["completed", "failed", "cancelled", "returned"]);
export const DELIVERING = new Set(["assigned", "accepted", "in_progress"]);
const OVER = new Set(["completed", "failed", "skipped"]);

export const RISKS = { late: "late", at_risk: "at risk", on_time: "on time", planned: "planned" };
const WORST_FIRST = Object.keys(RISKS);

const EXCLUSIONS = {
  not_approved: "not approved",
  suspended: "suspended",
  off_shift: "not on shift",
  on_break: "takes a break",
  silent: "nothing is heard of them",
  incident_open: "an incident is open",
  shift_ends_too_soon: "shift ends too soon",
  hours_exhausted: "hours of service are used up",
  document_missing: "a document is missing",
  document_expired: "a document has expired",
  document_expires_too_soon: "a document expires too soon",
  vehicle_grounded: "vehicle is grounded",
  vehicle_inspection_failed: "vehicle failed its inspection",
  vehicle_document_missing: "a document of the vehicle is missing",
  vehicle_document_expired: "a document of the vehicle has expired",
  vehicle_document_expires_too_soon: "a document of the vehicle expires too soon",
  vehicle_maintenance_overdue: "vehicle's maintenance is overdue",
  over_capacity: "no room for the goods",
  too_many_tasks: "has enough tasks",
  reserved_elsewhere: "reserved for another task",
  no_fix: "position not known",
  stale_fix: "position is too old",
  declined_before: "declined this task",
  unreachable: "no way from there",
  skill_missing: "lacks a skill",
  outside_zones: "works in other zones",
  vehicle_kind: "goes by another kind of vehicle",
  declines_too_often: "declined too often lately",
  rated_too_low: "rated too low",
  too_far: "too far away",
  travel_too_long: "would take too long to get there",
  detour_too_long: "too long a detour",
  would_be_late: "would be late",
  ride_too_long: "goods would ride for too long",
};

/** Why a stop could not be located. */
export const UNLOCATED = {
  not_sure: "What was found is not sure enough. Choose where it is:",
  unknown_address: "Nobody knows this address.",
  nobody_answers: "Nobody who knows addresses answers; they are asked again.",
  person_forgotten: "Whose address it was is forgotten.",
  no_address: "It has neither a place nor an address.",
};

/** What needs a person: what it is called, what it is about, and whether somebody may come to harm or a promise is broken. */
export const EXCEPTIONS = {
  report_conflicted: { title: "A report does not fit", of: "task" },
  no_taker: { title: "Nobody takes it", of: "task" },
  goods_waiting: { title: "Goods wait for another attempt", of: "task" },
  incident_unattended: { title: "An incident waits for somebody", of: "incident", grave: true },
  action_refused: { title: "An action was refused", of: "incident", grave: true },
  maintenance_due: { title: "Maintenance is due", of: "vehicle" },
  inspection_failed: { title: "A vehicle failed its inspection", of: "vehicle" },
  hours_ending: { title: "Hours of service end soon", of: "rider" },
  document_expiring: { title: "A document expires", of: "rider" },
  vehicle_document_expiring: { title: "A vehicle's document expires", of: "vehicle" },
  zones_ended: { title: "A rider has no zone any more", of: "rider" },
  rider_silent: { title: "Nothing is heard of a rider", of: "rider", grave: true },
  carrier_silent: { title: "Nothing is heard of a carrier", of: "booking", grave: true },
  carrier_status_conflicted: { title: "A carrier's status does not fit", of: "booking" },
  carrier_refused: { title: "A carrier has what it should not", of: "booking", grave: true },
  carrier_brings_back: { title: "A carrier brings goods back", of: "task" },
  carrier_countered: { title: "A carrier asks for other terms", of: "tender" },
  carrier_proof_missing: { title: "A carrier's proof is missing", of: "task" },
  proof_missing: { title: "A proof is missing", of: "task" },
  predicted_late: { title: "It will be late", of: "task" },
  sla_at_risk: { title: "A promise is at risk", of: "task" },
  sla_breached: { title: "A promise is broken", of: "task", grave: true },
  sla_scope_taken: { title: "Two SLA policies are for the same tasks", of: "policy" },
  proof_disputed: { title: "A proof is disputed", of: "task" },
  dependency_failed: { title: "What it waits for has failed", of: "task" },
  needs_location: { title: "Nobody knows where a stop is", of: "task" },
  occurrence_refused: { title: "An occurrence was refused", of: "recurrence" },
};

export const plain = (code) => String(code ?? "").replaceAll("_", " ");
const STOPS = { pickup: "Pickup at", dropoff: "Drop-off at", collection: "Collection at", hold: "Hold at", return: "Return to" };
const OURS = new Set(["outlet", "hub", "locker"]);
/** Who has or had goods; a place of the tenant's own by its slug. */
export const partyOf = (party, nameOf) => (party.kind === "outlet" ? party.id : party.kind === "rider" ? nameOf(party.id) : OURS.has(party.kind) ? `${party.kind} ${party.id}` : party.kind);
/** What happens at a stop, and where, if that is a place of the tenant's own. */
export const stopOf = (stop) => (OURS.has(stop.party?.kind) ? `${STOPS[stop.kind]} ${partyOf(stop.party)}` : STOPS[stop.kind].split(" ")[0]);
export const excluded = (code) => EXCLUSIONS[code] ?? plain(code);
export const spaced = (name) => {
  const words = name.split(".").at(-1).replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return words[0].toUpperCase() + words.slice(1);
};

/** Of one stop that is still ahead: by its forecast, else by its window. */
export function riskOf(stop, forecast, now) {
  if (forecast?.risk) return forecast.risk;
  return stop.window && Date.parse(stop.window.end) < now ? "late" : "planned";
}

export const worst = (risks) => WORST_FIRST.find((risk) => risks.includes(risk)) ?? "planned";
export const isAhead = (stop) => !OVER.has(stop.status);

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const EXACT = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

const today = (date) => date.toDateString() === new Date().toDateString();

export function clock(time) {
  const date = new Date(time);
  return today(date) ? CLOCK.format(date) : `${DAY.format(date)} ${CLOCK.format(date)}`;
}

export const exact = (time) => EXACT.format(new Date(time));

/** "in 12 min", "4 min ago". */
export function away(time, now) {
  const minutes = Math.round((Date.parse(time) - now) / 60000);
  if (minutes === 0) return "now";
  const words = Math.abs(minutes) < 100 ? `${Math.abs(minutes)} min` : `${Math.round(Math.abs(minutes) / 60)} h`;
  return minutes > 0 ? `in ${words}` : `${words} ago`;
}

/** "12 min", "3 h", "2 days": for how long it has been so. */
export function lasted(since, now) {
  const minutes = Math.max(0, Math.floor((now - Date.parse(since)) / 60000));
  if (minutes < 1) return "just now";
  if (minutes < 100) return `${minutes} min`;
  return minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
}

export function lasting(seconds) {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${(seconds / 60).toFixed(seconds < 600 ? 1 : 0)} min`;
}

export const far = (metres) => (metres < 1000 ? `${Math.round(metres / 10) * 10} m` : `${(metres / 1000).toFixed(1)} km`);

/** What the reader may see of something personal. */
export const personal = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? "" : String(value));
export const located = (place) => place !== null && typeof place === "object" && Number.isFinite(place.lat);
