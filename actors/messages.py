"""What actors say to each other. Named for what they ask or tell; grouped by who receives them."""

from __future__ import annotations

from msgspec import Struct

from protocol.ids import Principal
from protocol.objects import By, Entry, Meeting, Origin, Rule
from protocol.params import Params
from protocol.records import ContactAddress, ContactRecord, DeliveryRecord, MessagesCounted
from protocol.requests import (
    ConnectorDelivered,
    ConnectorReceive,
    ContactUpdate,
    ConversationStart,
    SetAvailability,
)
from protocol.settings import AgentSettings, ServiceSettings

# ---------------------------------------------------------------- anybody


class Delete(Struct, frozen=True):
    """Be no more; refuse if that would leave somebody without."""


class Due(Struct, frozen=True):
    """A deadline of yours has come; ``kind`` is its name. It fires late if ``clock`` is past the turn's moment."""

    kind: str
    clock: int = 0


class SessionStarted(Struct, frozen=True):
    """Somebody whose actor you are has come online in this session."""

    session: int


class SessionEnded(Struct, frozen=True):
    """That session is gone."""

    session: int


# ---------------------------------------------------------------- to a conversation


class Do(Struct, frozen=True):
    """A request about you, by somebody who may see you."""

    params: Params
    principal: Principal
    method: str


class Begin(Struct, frozen=True):
    """You are new: go and find an agent; ``prefer`` is taken first if green."""

    by: By
    text: str | None
    prefer: str | None = None
    attachments: tuple[str, ...] = ()
    meets: str | None = None  # made for a meeting with this agent, whose it is, above the maximum if need be


class Agreed(Struct, frozen=True):
    """A meeting of yours has been booked or changed, or is near: put it down."""

    meeting: Meeting
    by: By
    reason: str


class Said(Struct, frozen=True):
    """Your contact wrote, or ``by`` who is a member; closed = this reopens you. ``prefer`` is taken first if green."""

    text: str | None
    reply_to: int | None = None
    address: str | None = None
    prefer: str | None = None
    by: str | None = None
    attachments: tuple[str, ...] = ()


class Invite(Struct, frozen=True):
    """These are members of yours from now on."""

    who: tuple[By, ...]
    by: By


class Remove(Struct, frozen=True):
    """These are so no longer."""

    who: tuple[By, ...]
    by: By


class Admit(Struct, frozen=True):
    """Somebody comes in by your link."""

    principal: Principal


class Merged(Struct, frozen=True):
    """One contact is the same person as another, who stays: in your record, too."""

    contact: str
    into: str
    by: By
    reason: str


class Handover(Struct, frozen=True):
    """An assignment by hand: who did it, how, and where it came from."""

    by: By
    method: str
    comment: str | None = None
    anyway: bool = False
    origin: Origin | None = None


class Taken(Struct, frozen=True):
    """An agent has given you a slot in this service. Without ``handover`` the house routed you."""

    agent: str
    service: str
    reason: str
    handover: Handover | None = None
    rule: Rule = "strategy"


class NobodyFree(Struct, frozen=True):
    """Nobody can take you now: you wait."""


class AssigneeLost(Struct, frozen=True):
    """Your agent's grace is over."""

    agent: str


class Reconfigured(Struct, frozen=True):
    """Your service has other settings now."""


class Fate(Struct, frozen=True):
    """What became of a message of yours, as somebody says."""

    delivery: DeliveryRecord


class Kept(Struct, frozen=True):
    """To the core: a delivery is to be written; ``was``: what it was, None = it is new."""

    delivery: DeliveryRecord
    was: DeliveryRecord | None


class SentAgain(Struct, frozen=True):
    """A message of yours that had failed is on its way again."""

    delivery: DeliveryRecord
    entry: Entry
    by: By


class Seen(Struct, frozen=True):
    """A reader of yours has read up to this seq; ``counted``: the messages up to there, if not up to the end."""

    reader: str
    seq: int
    counted: MessagesCounted | None


class Digested(Struct, frozen=True):
    """What this reader of yours has not read is in a mail now."""

    reader: str


# ---------------------------------------------------------------- to an agent


class Take(Struct, frozen=True):
    """Give this conversation a slot. ``forced``: above the maximum and whatever the colour."""

    conversation: str
    service: str
    channel_class: str
    reason: str
    handover: Handover | None = None
    forced: bool = False
    rule: Rule = "strategy"


class Free(Struct, frozen=True):
    """This conversation is no longer yours; ``restart_idle``: it counts as an assignment for the idle clock."""

    conversation: str
    channel_class: str
    restart_idle: bool = False


class Refill(Struct, frozen=True):
    """You may have room: take the first waiting conversation you can, until you have none."""

    channel_class: str | None = None


class Switch(Struct, frozen=True):
    """Switch classes on or off."""

    params: SetAvailability


class SwitchOff(Struct, frozen=True):
    """You let a conversation wait too long: no more of this class."""

    channel_class: str


class PutAgent(Struct, frozen=True):
    """Your settings are these."""

    settings: AgentSettings


class MembershipChanged(Struct, frozen=True):
    """A service you are or were in has changed."""


# ---------------------------------------------------------------- to a service


class Enqueue(Struct, frozen=True):
    """This conversation needs an agent; ``prefer`` first if green. ``again``: it asks for other things than before."""

    conversation: str
    prefer: str | None = None
    again: bool = False


class Dequeue(Struct, frozen=True):
    """It no longer does."""

    conversation: str


class Dispatch(Struct, frozen=True):
    """Find the first available agent for a waiting conversation. Sent by ``later``: one at a time."""

    conversation: str
    prefer: str | None = None
    again: bool = False


class MemberChanged(Struct, frozen=True):
    """A member's seats in this class may have changed: look again."""

    agent: str
    channel_class: str


class Listen(Struct, frozen=True):
    """This waiting conversation's contact is online: tell it where it stands, now and when that changes."""

    conversation: str


class PutService(Struct, frozen=True):
    """Your settings are these."""

    settings: ServiceSettings


# ---------------------------------------------------------------- to a contact


class Receive(Struct, frozen=True):
    """You wrote through a connector."""

    params: ConnectorReceive


class Start(Struct, frozen=True):
    """You start a conversation, or the backend does it for you."""

    params: ConversationStart
    principal: Principal
    members: tuple[By, ...] = ()


class Claim(Struct, frozen=True):
    """This address is yours."""

    place: ContactAddress


class Absorb(Struct, frozen=True):
    """This contact is the same person as you: what it was known for is yours."""

    contact: ContactRecord


class Absorbed(Struct, frozen=True):
    """You are the same person as this contact, and only a name of it."""

    into: str


class Active(Struct, frozen=True):
    """You wrote."""


class Introduced(Struct, frozen=True):
    """Your token says who you are."""

    name: str | None
    email: str | None


class Update(Struct, frozen=True):
    """What is known of you changes."""

    params: ContactUpdate


class HandledBy(Struct, frozen=True):
    """An agent has got a conversation of yours."""

    agent: str


# ---------------------------------------------------------------- to a meeting


class Booked(Struct, frozen=True):
    """You are new."""

    by: By


# ---------------------------------------------------------------- to a channel


class Deliver(Struct, frozen=True):
    """Send this entry out to this address."""

    entry: Entry
    address: str
    waited_since: int | None = None  # the wait that it answers


class Delivered(Struct, frozen=True):
    """The connector says what became of it; ``known``: it was acknowledged before, and stands so in the store."""

    params: ConnectorDelivered
    known: DeliveryRecord | None = None


class Resend(Struct, frozen=True):
    """This message had failed: send it again."""

    delivery: DeliveryRecord
    entry: Entry
