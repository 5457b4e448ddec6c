"""The part of a storm that brings people together: created conversations, links, members, contacts merged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from actors.core import Core
from protocol.members import MEMBERS_MAX
from protocol.records import ConversationRecord

if TYPE_CHECKING:
    from tests.storm import Storm

CONTACTS = ("nia", "oli", "pat")
DEEDS = ("create", "invite", "invite", "remove", "update", "link", "link", "write", "merge", "sign in")
EMAILS = ("guest@example.org", "other@example.org", "nia@example.org")


class Members:
    """What one storm does about members, and what it knows of links."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._links: dict[str, str] = {}  # every link that was ever shown -> its conversation

    def act(self, agents: tuple[str, ...]) -> None:
        """Somebody creates a conversation, lets people in or out, presents a link, or merges two contacts."""
        rng, storm = self._storm.rng, self._storm
        who = rng.choice((*agents, "backend"))
        match rng.choice(
            ["create", "invite", "invite", "remove", "update", "link", "link", "write", "merge", "sign in"]
        ):
            case "create":
                flags = {"by_link": rng.random() < 0.5, "read_only": rng.random() < 0.3}
                storm._say(who, "conversation.create", name="Launch", members=self._people(agents), **flags)
            case "invite" | "remove" as verb:
                storm._say(who, f"conversation.{verb}", conversation=self._created(), members=self._people(agents))
            case "update":
                change = rng.choice([{"by_link": True}, {"by_link": False}, {"read_only": rng.random() < 0.5}])
                storm._say(who, "conversation.update", conversation=self._created(), **change)
            case "link":
                if self._links:
                    link = rng.choice(sorted(self._links))
                    storm._say(
                        rng.choice([who, f"contact:{rng.choice(CONTACTS)}"]), "conversation.join_link", link=link
                    )
            case "write":
                who = rng.choice([who, f"contact:{rng.choice(CONTACTS)}"])
                storm._say(who, "message.send", conversation=self._created(), text="Among us")
            case "merge":
                known = sorted(storm.world.core.house.contacts) or ["nia"]
                storm._say(who, "contact.merge", contact=rng.choice(known), into=rng.choice(known))
            case "sign in":
                name = f"contact:{rng.choice(CONTACTS)}"
                if name in storm.world.sessions:
                    storm.world.end(name)
                storm.world.open(name, email=rng.choice((None, *EMAILS)))

    def _people(self, agents: tuple[str, ...]) -> list[dict[str, str]]:
        rng = self._storm.rng
        every = [*({"agent": name} for name in agents), *({"contact": name} for name in CONTACTS),
                 *({"email": email} for email in EMAILS)]  # fmt: skip
        return [dict(one) for one in rng.sample(every, rng.randint(1, 4))]

    def _created(self) -> str:
        """Mostly one that was created."""
        house, rng = self._storm.world.core.house, self._storm.rng
        created = sorted(name for name, actor in house.conversations.items() if actor.record.service is None)
        return rng.choice(created) if created and rng.random() < 0.8 else self._storm._conversation()

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """The rules of members, and that a link leads where it always led."""
        core = self._storm.world.core
        problems = list(broken(core))
        assert not problems, "; ".join(problems[:5])
        for link, name in core.house.links.items():
            assert self._links.setdefault(link, name) == name, f"{link} leads to {name}, not where it led before"


def broken(core: Core) -> Iterator[str]:
    """What does not hold of members, links and contacts, as sentences."""
    house = core.house
    records = [actor.record for actor in house.conversations.values()]
    for record in records:
        yield from _one(core, record)
    links = {record.link: record.id for record in records if record.link is not None}
    if links != house.links:
        yield f"the links are {house.links}, but records say {links}"
    for name, contact in house.contacts.items():
        own = sorted(record.id for record in records if record.contact == name)
        among = sorted(record.id for record in records if name in record.members)
        if (sorted(contact.conversations), sorted(contact.memberships)) != (own, among):
            yield f"{name} holds {[*contact.conversations]} and {[*contact.memberships]}, but is in {own} and {among}"
        for place in contact.record.addresses:
            if house.contact_at.get(place) != name:
                yield f"{name} has {place}, which leads to {house.contact_at.get(place)}"


def _one(core: Core, record: ConversationRecord) -> Iterator[str]:
    people: dict[str, Any] = core.house.contacts
    if len(record.crew) + len(record.members) > MEMBERS_MAX:
        yield f"{record.id} has too many members"
    if len(set(record.outside)) != len(record.outside):
        yield f"{record.id} has somebody twice: {record.outside}"
    if record.state in ("open", "snoozed"):
        gone = [name for name in record.outside if name not in people or people[name].record.merged_into is not None]
        if gone:
            yield f"{record.id} is with {gone}, who are not there"
    if record.service is None and (record.assignee or record.queued or record.waiting_since or record.paused):
        yield f"{record.id} is created and yet assigned, queued, waiting or paused"
