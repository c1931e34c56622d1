"""The model by which arrivals are foretold now, folded from `logistics.eta-models`; and how one is told there."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import structlog

from schemas.eta_model import EtaErrorsMet, EtaForestGrown, Pace, ServiceTime
from schemas.message import Event
from streams.eta.journey import COLUMNS
from streams.eta.model import BY_FACTORS, QUANTILES, Model, Told
from streams.eta.trees import NoForest, Trees, packed, unpacked

KEPT_FORESTS = 2
"""The errors that come next may still be of the one before."""

logger = structlog.get_logger()

type Forests = tuple[Trees, Trees | None]


class Models:
    """What cannot be used here is passed over, and the model before it stays."""

    def __init__(self) -> None:
        self.current = Model(version=BY_FACTORS)
        self._forests: dict[str, Forests] = {}

    def take(self, event: Event) -> None:
        try:
            match event:
                case EtaForestGrown():
                    self._forests[event.forest] = forests_of(event)
                    while len(self._forests) > KEPT_FORESTS:
                        del self._forests[next(iter(self._forests))]
                case EtaErrorsMet():
                    self.current = self._model(event)
                case _:
                    pass
        except NoForest as broken:
            logger.warning("model passed over", error=broken)

    def _model(self, met: EtaErrorsMet) -> Model:
        """Raises NoForest."""
        service_times = {(each.tenant, each.kind): each.times for each in met.service_times}
        if met.forest is None:
            return Model(met.version, service_times=service_times)
        if met.forest not in self._forests:
            raise NoForest(f"{met.forest} is not known here")
        lengths, quantiles = np.array(met.lengths, float), np.array(met.quantiles, float)
        if not len(lengths) or quantiles.shape != (len(lengths), len(QUANTILES)):
            raise NoForest(f"{len(lengths)} lengths and quantiles of shape {quantiles.shape}")
        middle, spread = self._forests[met.forest]
        paces = {(each.tenant, each.vehicle): each.longer for each in met.paces}
        return Model(met.version, middle, spread, Told(lengths, quantiles), paces, service_times)


def forests_of(grown: EtaForestGrown) -> Forests:
    """Raises NoForest."""
    if tuple(grown.columns) != COLUMNS:
        raise NoForest(f"{grown.forest} looks at other columns than are known here")
    spread = unpacked(grown.spread, len(COLUMNS)) if grown.spread is not None else None
    return unpacked(grown.middle, len(COLUMNS)), spread


def grown(name: str, middle: Trees, spread: Trees | None, journeys: int, until: datetime) -> EtaForestGrown:
    return EtaForestGrown(
        forest=name,
        columns=list(COLUMNS),
        middle=packed(middle),
        spread=None if spread is None else packed(spread),
        journeys=journeys,
        until=until,
    )


def met(
    model: Model, forest: str | None, service: Mapping[tuple[str, str], tuple[float, int]], until: datetime
) -> EtaErrorsMet:
    """`service` of each tenant and kind of stop: how many times as long as planned, and of how many stops that is."""
    errors = model.errors
    return EtaErrorsMet(
        version=model.version,
        forest=forest if errors is not None else None,
        lengths=[] if errors is None else errors.length.tolist(),
        quantiles=[] if errors is None else errors.quantiles.tolist(),
        paces=[
            Pace(tenant=tenant, vehicle=vehicle, longer=longer) for (tenant, vehicle), longer in model.paces.items()
        ],
        service_times=[
            ServiceTime(tenant=tenant, kind=kind, times=times, stops=stops)
            for (tenant, kind), (times, stops) in service.items()
        ],
        until=until,
    )
