"""What can be configured: services, agents, the workspace. [protocol §5]

The same structs decode ``service.put``, the TOML file and the store's rows. Every value is immutable, so a
settings object may be read by any actor; a change replaces it whole. ``patched`` gives the rule of all
``put`` methods: what is given replaces, what is not given stays.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from protocol.ids import Id, Name
from protocol.params import Email
from protocol.times import Duration

MINUTE, HOUR = 60_000, 3_600_000

Strategy = Literal["longest_idle", "least_busy", "most_spare", "lowest_ratio", "round_robin"]
OnDisconnect = Literal["requeue_unanswered", "keep", "requeue_all"]
Mode = Literal["push", "grab", "collaboration"]
Slots = Annotated[int, Meta(ge=0, le=1_000_000)]
Priority = Annotated[int, Meta(ge=-100, le=100)]
SlotsByClass = dict[str, Slots | None]

#: channel class -> its channels; a channel named nowhere is in ``messaging`` [behaviour §1]
CHANNEL_CLASSES: dict[str, tuple[str, ...]] = {
    "chat": ("web", "personal_link", "scheduler"),
    "messaging": ("whatsapp", "messenger", "sms", "twitter", "mobile_app"),
    "email": ("email",),
}
CLASS_OF_OTHERS = "messaging"


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent's place in a service. ``routed`` absent = routed to, save admins. [behaviour §3]"""

    agent: Id
    role: Literal["representative", "admin"] = "representative"
    manager: bool = False
    routed: bool | None = None

    @property
    def is_routed(self) -> bool:
        """Whether new conversations go to this member by themselves."""
        return self.role == "representative" if self.routed is None else self.routed


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One rung of the escalation ladder: ``after`` so long a wait, ``do`` this. [behaviour §5]"""

    after: Duration
    do: Literal["add_managers", "notify", "raise_priority", "move_to", "webhook"]
    agents: tuple[Id, ...] = ()  # whom to notify
    by: Annotated[int, Meta(ge=1, le=200)] = 1  # how much to raise the priority
    service: Id | None = None  # where to move it
    url: Annotated[str, Meta(pattern="^https?://", max_length=2_000)] | None = None  # whom to call


Interval = tuple[str, str]  # "08:00", "17:00"; "24:00" may end a day


class Weekly(Struct, frozen=True, forbid_unknown_fields=True):
    """When it is open, by weekday: half-open intervals of local time; an absent day is closed."""

    mon: tuple[Interval, ...] = ()
    tue: tuple[Interval, ...] = ()
    wed: tuple[Interval, ...] = ()
    thu: tuple[Interval, ...] = ()
    fri: tuple[Interval, ...] = ()
    sat: tuple[Interval, ...] = ()
    sun: tuple[Interval, ...] = ()


class BusinessHours(Struct, frozen=True, forbid_unknown_fields=True):
    """Open time, which ``soon``, ``overdue`` and the escalation ladder count. Never open = wall time. [behaviour §5]"""

    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    weekly: Weekly = Weekly()
    holidays: tuple[str, ...] = ()  # "2026-12-25"


class ServiceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A service queue: who is in it, what it takes, how it routes and when it is late."""

    id: Id
    name: Name = ""
    mode: Mode = "push"
    members: tuple[Member, ...] = ()
    channels: tuple[Id, ...] = ()
    strategy: Strategy = "longest_idle"
    sticky: bool = False
    max_slots: SlotsByClass = {}
    soon_after: Duration = Duration(3 * MINUTE)
    overdue_after: Duration = Duration(5 * MINUTE)
    escalation: tuple[Step, ...] = (Step(after=Duration(60 * MINUTE), do="add_managers"),)
    auto_close_after: Duration | None = Duration(24 * HOUR)
    reopen: Literal["same", "new"] = "same"
    offer_within: Duration | None = None
    reply_within: Duration | None = None
    decline_pause: Duration = Duration(5 * MINUTE)
    disconnect_grace: Duration = Duration(MINUTE)
    on_disconnect: OnDisconnect = "requeue_unanswered"
    business_hours: BusinessHours | None = None
    skills: tuple[Id, ...] = ()
    max_waiting: Annotated[int, Meta(ge=0)] | None = None

    def member(self, agent: str) -> Member | None:
        """This agent's place here, or None. O(members): the actors keep an index."""
        return next((member for member in self.members if member.agent == agent), None)

    def takes(self, channel: str) -> bool:
        """Whether conversations of this channel may begin here; no channels named = all."""
        return not self.channels or channel in self.channels


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A named text with ``{{variables}}``; no channels = for all. ``approved``: by the channel's operator. [S4]"""

    name: Id
    text: Annotated[str, Meta(min_length=1, max_length=32_768)]
    channels: tuple[Id, ...] = ()
    approved: bool = False


class WorkingHours(Struct, frozen=True, forbid_unknown_fields=True):
    """When an agent can be met, in the agent's time zone."""

    weekly: Weekly = Weekly()


class AgentSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent as the operator describes it. ``capacity`` is the maximum per class; absent = unlimited."""

    id: Id
    name: Name = ""
    email: Email | None = None
    capacity: SlotsByClass = {}
    skills: tuple[Id, ...] = ()
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    language: Id | None = None
    working_hours: WorkingHours | None = None
    confirm_meetings: bool = False


class MailSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How mail leaves the house. Without it none is written. The password stands in SIGNALBOX_SMTP_PASSWORD."""

    sender: Annotated[str, Meta(min_length=3, max_length=320)] = "signalbox@localhost"
    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 25
    security: Literal["none", "starttls", "tls"] = "none"
    username: Annotated[str, Meta(max_length=320)] | None = None
    language: Id = "en"  # of those who have none of their own
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"  # of people outside, for the digests of a day
    unsubscribe: Annotated[str, Meta(max_length=500)] | None = None  # of digests: https://… or mailto:…, {recipient}
    templates: str | None = None  # a folder whose templates go before ours


class WorkspaceSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """One tenant: its channel classes and, for a workspace configured by file, services and agents."""

    id: Id = "main"
    channel_classes: dict[str, tuple[Id, ...]] = field(default_factory=lambda: dict(CHANNEL_CLASSES))
    conference_url: Annotated[str, Meta(max_length=2_000)] | None = None
    mail: MailSettings | None = None
    services: tuple[ServiceSettings, ...] = ()
    agents: tuple[AgentSettings, ...] = ()


def _patch_of(settings: type[Struct], name: str, key: str = "id") -> Any:
    """The struct of a ``put``: its ``key`` required, everything else may be left out."""
    others = (item for item in msgspec.structs.fields(settings) if item.name != key)
    fields: list[Any] = [(key, Id), *((item.name, item.type | UnsetType, UNSET) for item in others)]
    docs = f"{settings.__doc__} What is given replaces, what is not given stays."
    patch = msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True, module=__name__)
    patch.__doc__ = docs
    return patch


ServicePatch = _patch_of(ServiceSettings, "ServicePatch")
AgentPatch = _patch_of(AgentSettings, "AgentPatch")
TemplatePatch = _patch_of(Template, "TemplatePatch", "name")


def given(patch: Struct) -> dict[str, Any]:
    """The fields that a patch names, by name."""
    pairs = ((name, getattr(patch, name)) for name in patch.__struct_fields__)
    return {name: value for name, value in pairs if value is not UNSET}
