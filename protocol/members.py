"""Requests about created conversations, their members, and what each has read. [behaviour §7, §8]"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from protocol.ids import Count, Id, Name, Seq
from protocol.params import Email, Params

MEMBERS_MAX = 1_000


class MemberName(Struct, frozen=True, forbid_unknown_fields=True):
    """An agent, a contact, or somebody outside by e-mail: one of the three (else ``member_without_email``)."""

    agent: Id | None = None
    contact: Id | None = None
    email: Email | None = None
    name: Name | None = None


Members = Annotated[tuple[MemberName, ...], Meta(max_length=MEMBERS_MAX)]


class MemberView(Struct, frozen=True):
    """A member as others see it."""

    kind: Literal["agent", "contact"]
    id: str
    name: str | None = None


class ConversationCreate(Params, frozen=True):
    """A conversation of named members: no service, no channel, no queue. Who creates it is a member."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    description: Annotated[str, Meta(max_length=32_768)] | None = None
    members: Members = ()
    read_only: bool = False
    by_link: bool = False


class ConversationInvite(Params, frozen=True):
    """Who comes in; whoever is a member already stays one."""

    conversation: Id
    members: Annotated[tuple[MemberName, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]


class ConversationRemove(Params, frozen=True):
    """Who goes out."""

    conversation: Id
    members: Annotated[tuple[MemberName, ...], Meta(min_length=1, max_length=MEMBERS_MAX)]


class JoinLink(Params, frozen=True):
    """The link, as it was given out."""

    link: Id


class ConversationRead(Params, frozen=True):
    """Everything up to this seq has been seen."""

    conversation: Id
    seq: Seq


class Unread(Struct, frozen=True):
    """How many messages by others are left to read."""

    unread: Count


class ContactMerge(Params, frozen=True):
    """``contact`` is the same person as ``into``, who stays."""

    contact: Id
    into: Id
