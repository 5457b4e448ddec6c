"""Requests about meetings. [behaviour §8]"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from protocol.ids import Id, Name
from protocol.objects import Meeting
from protocol.params import Email, Params
from protocol.times import Moment

Minutes = Annotated[int, Meta(ge=1, le=1_440)]
MINUTES = 30


class MeetingSlots(Params, frozen=True):
    """When an agent can be met between two moments."""

    agent: Id
    start: Moment = msgspec.field(name="from")
    end: Moment = msgspec.field(name="to")
    minutes: Minutes = MINUTES


class Slot(Struct, frozen=True):
    """A time that is free."""

    start: Moment
    minutes: int


class Slots(Struct, frozen=True):
    """In order of time."""

    slots: tuple[Slot, ...]


class MeetingSchedule(Params, frozen=True):
    """A meeting with an agent, for ``email`` if the house books it; without a conversation it gets one of its own."""

    agent: Id
    start: Moment
    minutes: Minutes = MINUTES
    subject: Name | None = None
    email: Email | None = None
    conversation: Id | None = None


class MeetingName(Params, frozen=True):
    """Which meeting."""

    meeting: Id


class MeetingReschedule(Params, frozen=True):
    """What is given replaces, what is not given stays."""

    meeting: Id
    start: Moment | None = None
    minutes: Minutes | None = None


class OneMeeting(Struct, frozen=True):
    """The meeting as it now is."""

    meeting: Meeting
