"""Routes: what is done with the events of each type, and how their parameters lie; remembered."""

from exporter.events.params import ByteOrder, capture_decoders
from exporter.events.table import load_event_table
from exporter.sources.capture.records import Layouts
from exporter.sources.capture.upgrade import Fate, Route, Shape, route_of

ROUTE_SHIFT = 16
"""A route is known by its number of parameters and, in the low bits, its event code."""

_MAX_SHAPES = 4096


class Routes:
    """The routes of one section. known: by key, for the reader's straight read.

    needed: codes of current types that somebody looks at; None for all.
    """

    def __init__(self, layouts: Layouts, order: ByteOrder, needed: frozenset[int] | None) -> None:
        self.known: dict[int, Route] = {}
        self._layouts = layouts
        self._order: ByteOrder = order
        self._needed = needed
        self._shapes = 0

    def find(self, code: int, nparams: int) -> Route | None:
        """The route of an event type; None for a type of a newer schema."""
        if code >= len(load_event_table().events):
            return None
        # All numbers that are too large mean the same; a damaged capture can hold millions.
        most = len(load_event_table().events[code].params)
        nparams = min(nparams, most + 1)
        key = nparams << ROUTE_SHIFT | code
        route = self.known.get(key)
        if route is None:
            route = route_of(code, nparams)
            route.decoders = capture_decoders(route.type, self._order)
            if self._needed is not None:
                _leave_out(route, self._needed)
            self.known[key] = route
        return route

    def shape(self, route: Route, lengths: bytes, width: int) -> Shape:
        """How the parameters of a record with these lengths lie; remembered with the route."""
        if self._shapes >= _MAX_SHAPES:
            for known in self.known.values():
                known.shapes.clear()
            self._shapes = 0
        shape = self._layouts.shape(route, lengths, width)
        route.shapes[lengths] = shape
        self._shapes += 1
        return shape


def _leave_out(route: Route, needed: frozenset[int]) -> None:
    """Mark what neither state nor rules need."""
    if route.fate is Fate.STORE:
        exit_code = route.type.code + 1
        most = len(load_event_table().events[exit_code].params)
        exits = {route_of(exit_code, count).type.code for count in range(most + 1)}
        route.is_wanted = not needed.isdisjoint(exits)
    elif (
        route.fate is Fate.DELIVER
        and not (route.is_initial or route.is_hidden)
        and route.type.code not in needed
    ):
        route.fate = Fate.SKIP
