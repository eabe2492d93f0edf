"""The stream of events: read gap-free from a place, or followed as it grows."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import anyio
import anyio.to_thread
import msgspec
from litestar import Controller, get
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from cleanmails.api.auth import Principal
from cleanmails.api.given import Given
from cleanmails.errors import BusyError, Fault, InvalidError
from cleanmails.ledger import events
from cleanmails.ledger.db import Database
from cleanmails.ledger.events import START, Place
from cleanmails.rules import event_types

MOST: Final = 1_000
STREAM_SECONDS: Final = 600
STREAMS: Final = 200
"""Streams that one web process keeps open at once: each asks the ledger once a second."""

_LARGEST: Final = 2**63 - 1

After = Annotated[
    str | None,
    QueryParameter(
        description="Where to go on: `next` of the answer before, or the `id` of the last event seen. 0 is the start.",
        max_length=40,
    ),
]
Types = Annotated[
    str | None,
    QueryParameter(description="Types separated by commas, such as `email.sent,email.replied`.", max_length=1_000),
]
CampaignId = Annotated[int | None, QueryParameter(description="Events of this campaign alone.", ge=1, le=_LARGEST)]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of the workspace. `version` is that of the schema of its type."""

    id: int
    type: str
    version: int
    at: datetime
    campaign_id: int | None
    lead_id: int | None
    delivery_id: int | None
    sender_id: int | None
    data: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the stream. `next` is always there: keep it, and ask again with it, now if `more` is true, else when it suits you."""

    items: list[Event]
    next: str
    more: bool


class Streams:
    """Counts the streams that are open in this process."""

    def __init__(self) -> None:
        self._open = 0

    def enter(self) -> None:
        """BusyError when there are too many."""
        if self._open >= STREAMS:
            raise BusyError("Too many streams are open; poll the events, or try again.", retry_after=30)
        self._open += 1

    def leave(self) -> None:
        """One is closed."""
        self._open -= 1


streams = Streams()
"""Of all nouns that can be followed."""


class Events(Controller):
    """`/v1/outreach/events`."""

    path = "/v1/outreach/events"
    tags = ("events",)

    @get(sync_to_thread=True)
    def list_all(
        self,
        database: Given[Database],
        principal: Given[Principal],
        after: After = None,
        types: Types = None,
        campaign_id: CampaignId = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST, description="How many events at most.")] = 100,
    ) -> EventPage:
        """Read the stream of events from a place on, in order and without gaps.

        Who keeps `next` and asks again with it misses nothing: an event whose transaction commits late comes later in the stream, never before what was
        read. An event can be read once every transaction that was running when it was written has ended, usually within milliseconds.
        """
        wanted = _types(types)
        with database.transaction() as db:
            place = _place(lambda id: events.place_of(db, principal.workspace_id, id), after)
            rows = events.read_after(
                db,
                principal.workspace_id,
                place,
                types=wanted,
                campaigns=None if campaign_id is None else [campaign_id],
                limit=limit + 1,
            )
        shown = rows[:limit]
        last = Place(shown[-1]["xact"], shown[-1]["id"]) if shown else place
        return EventPage(items=[shaped(row) for row in shown], next=sealed(last), more=len(rows) > limit)

    @get("/stream", sync_to_thread=True, media_type="text/event-stream")
    def stream(
        self,
        database: Given[Database],
        principal: Given[Principal],
        after: After = None,
        types: Types = None,
        campaign_id: CampaignId = None,
        seconds: Annotated[
            int, QueryParameter(ge=0, le=STREAM_SECONDS, description="After so long it ends; the client comes back.")
        ] = STREAM_SECONDS,
        last_event_id: Annotated[
            str | None, HeaderParameter(name="Last-Event-ID", description="Where a browser was.", max_length=40)
        ] = None,
    ) -> ServerSentEvent:
        """Follow the stream of events as server-sent events, from now on or from a place.

        Each message has the place as its id, so that a browser that lost the connection goes on where it was (`Last-Event-ID`), the type as its event
        and the event as its data. A comment every 15 seconds keeps the connection open.
        """
        wanted = _types(types)
        begin = last_event_id or after
        with database.transaction() as db:
            place = (
                events.end(db)
                if begin is None
                else _place(lambda id: events.place_of(db, principal.workspace_id, id), begin)
            )

        def read(place: Place) -> list[dict[str, Any]]:
            with database.transaction() as db:
                campaigns = None if campaign_id is None else [campaign_id]
                return events.read_after(
                    db, principal.workspace_id, place, types=wanted, campaigns=campaigns, limit=MOST
                )

        streams.enter()
        return ServerSentEvent(
            _follow(read, place, seconds), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )


async def _follow(
    read: Callable[[Place], list[dict[str, Any]]], place: Place, seconds: int
) -> AsyncIterator[ServerSentEventMessage]:
    """What comes behind a place, looked for each second. The ledger out of reach ends the stream; the browser comes back."""
    try:
        yield ServerSentEventMessage(data=None, comment="open", retry=2_000, id=sealed(place))
        ends = anyio.current_time() + seconds
        quiet = 0
        while True:
            rows = await anyio.to_thread.run_sync(read, place)
            for row in rows:
                place = Place(row["xact"], row["id"])
                yield ServerSentEventMessage(
                    data=msgspec.json.encode(shaped(row)).decode(), event=row["type"], id=sealed(place)
                )
            quiet = 0 if rows else quiet + 1
            if anyio.current_time() >= ends:
                return
            if quiet and quiet % 15 == 0:
                yield ServerSentEventMessage(data=None, comment="still here")
            await anyio.sleep(0 if len(rows) == MOST else min(1, max(0, ends - anyio.current_time())))
    except BusyError:
        return
    finally:
        streams.leave()


def shaped(row: dict[str, Any]) -> Event:
    """A row of the stream as the API and the webhooks show it."""
    given = {
        name: row[name] for name in ("id", "type", "at", "campaign_id", "lead_id", "delivery_id", "sender_id", "data")
    }
    return Event(version=event_types.version(row["type"]), **given)


def sealed(place: Place) -> str:
    """A place as a cursor: two numbers with a dot between them, which is nobody's business."""
    return f"{place.xact}.{place.id}"


def _place(known: Callable[[int], Place | None], after: str | None) -> Place:
    """What a cursor or the id of an event stands for. InvalidError for one that was never given out."""
    if after is None:
        return START
    first, dot, second = after.partition(".")
    numbers = [
        int(part) if part.isascii() and part.isdigit() else _LARGEST + 1
        for part in ((first, second) if dot else (first,))
    ]
    if max(numbers) <= _LARGEST:
        place = Place(*numbers) if dot else START if numbers[0] == 0 else known(numbers[0])
        if place is not None:
            return place
    raise InvalidError([Fault("after", "cursor", "This is no place of the stream; take `next` of the answer before.")])


def _types(given: str | None) -> Sequence[str] | None:
    """The types of a list with commas. InvalidError names each that there is none of."""
    names = [name.strip() for name in (given or "").split(",") if name.strip()]
    unknown = [name for name in names if name not in event_types.TYPES]
    if unknown:
        raise InvalidError([Fault("types", "type", f"There is no type {name!r} of events.") for name in unknown])
    return names or None
