"""Seeded storms: random clients, cut links, repeats, crashes and a store that fails, against the real core.

One seed is one history, to the byte. After every step the invariants hold; now and then the house is loaded
anew from the store and must equal the one in memory. ``python -m tests.storm --seeds 1000`` runs as many as
you like and prints the seed of a failure; ``make storm`` does the same and kills real servers as well.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from typing import Any

from actors.core import Core
from actors.effects import Ended, Output, Reply
from actors.keys import KEY_MS
from actors.memory import CLOSED_IN_MEMORY
from protocol.codec import encode_json
from protocol.errors import INTERNAL
from protocol.records import ClosedIn
from tests.invariants import BY_HAND, broken, check_equal, forget_what_left, miscounted, overfull
from tests.snapshot import snapshot
from tests.storm_deliveries import Deliveries
from tests.storm_mail import Mails
from tests.storm_meetings import Meetings, working
from tests.storm_members import Members
from tests.storm_reading import Reading, addressed
from tests.world import World

AGENTS = ("ana", "bo", "cy", "dee", "eve")
STRATEGIES = ("longest_idle", "least_busy", "most_spare", "lowest_ratio", "round_robin")
SERVICES = ("support", "sales")
CHANNELS = ("sms", "whatsapp", "email")
SKILLS = ("en", "fr")
SORTS = ("newest", "oldest", "waiting")


def config(rng: random.Random) -> dict[str, Any]:
    """A random small company."""
    return {
        "services": [_service(rng, name) for name in SERVICES],
        "agents": [
            {
                "id": name,
                "capacity": _capacity(rng),
                "skills": rng.sample(SKILLS, rng.randint(0, 2)),
                **working(rng),
                **addressed(name, rng),
            }
            for name in AGENTS
        ],
        "mail": {"time_zone": rng.choice(["UTC", "Pacific/Auckland"])},
    }


def _service(rng: random.Random, name: str) -> dict[str, Any]:
    members = [{"agent": agent, "role": "admin" if rng.random() < 0.2 else "representative",
                "manager": rng.random() < 0.2} for agent in rng.sample(AGENTS, rng.randint(1, 4))]  # fmt: skip
    return {
        "id": name,
        "members": members,
        "mode": rng.choice(["push", "push", "grab", "collaboration"]),
        "offer_within": rng.choice([None, "30s", "5m"]),
        "strategy": rng.choice(STRATEGIES),
        "sticky": rng.random() < 0.3,
        "max_slots": {"messaging": rng.randint(0, 3)} if rng.random() < 0.3 else {},
        "escalation": [
            {"after": "10m", "do": "add_managers"},
            {"after": "20m", "do": "raise_priority", "by": 5},
            {"after": "40m", "do": "move_to", "service": rng.choice(SERVICES)},
        ],
        "auto_close_after": rng.choice([None, "2h", "24h"]),
        "reopen": rng.choice(["same", "new"]),
        "reply_within": rng.choice([None, None, "4m"]),
        "decline_pause": rng.choice(["0s", "5m"]),
        "disconnect_grace": rng.choice(["0s", "30s", "1m"]),
        "on_disconnect": rng.choice(["requeue_unanswered", "keep", "requeue_all"]),
        "skills": rng.sample(SKILLS, 1) if rng.random() < 0.2 else [],
        "max_waiting": rng.choice([None, None, 2]),
    }


def _capacity(rng: random.Random) -> dict[str, int]:
    return {name: rng.randint(0, 3) for name in ("chat", "messaging", "email") if rng.random() < 0.7}


class Storm:
    """One history. ``run`` raises AssertionError with the seed in it if a rule breaks."""

    def __init__(self, seed: int, *, url: str = "sqlite:///:memory:", faults: bool = True) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.faults = faults
        self.keyed: list[tuple[str, str, dict[str, Any], bytes]] = []  # requests that succeeded with a key
        self.keyed_at: list[int] = []
        self.refusals = 0
        self.successes = 0
        from storage.urls import open_store

        self.world = World(config(self.rng), store=open_store(url))
        self.meetings = Meetings(self)
        self.mails = Mails(self)
        self.members = Members(self)
        self.deliveries = Deliveries(self)
        self.reading = Reading(self)
        self.world.closed_max = self.world.core.memory._closed_max = (2, CLOSED_IN_MEMORY)[seed % 2]

    def run(self, steps: int) -> bytes:
        """So many steps; everything that came out, for comparing two runs."""
        try:
            for _ in range(steps):
                self._step()
                self._check()
            self._compare_with_reload()
            self.mails.rest()
        except Exception as problem:
            raise AssertionError(f"storm seed {self.seed}, {len(self.world.log)} outputs: {problem}") from problem
        return b"\n".join(self.world.log)

    # ------------------------------------------------------------ what happens

    def _step(self) -> None:
        doings: list[tuple[float, Callable[[], None]]] = [
            (30, self._agent_acts),
            (20, self._contact_writes),
            (6, self._web_contact),
            (8, self._come_or_go),
            (6, self._switch),
            (5, self._operator),
            (14, self._wait),
            (4, self._repeat),
            (5, self.deliveries.act),
            (4, self._look),
            (6, lambda: self.meetings.act(AGENTS)),
            (8, lambda: self.members.act(AGENTS)),
            (8, lambda: self.mails.act(AGENTS)),
            (8, lambda: self.reading.act(AGENTS)),
        ]
        if self.faults:
            doings += [(1.5, self._crash), (3, self._store_fails)]
        weights = [weight for weight, _ in doings]
        self.rng.choices([doing for _, doing in doings], weights)[0]()

    def _say(self, who: str, method: str, /, **params: Any) -> Any:
        """A request that may be refused, but never fails."""
        keyed = self.rng.random() < 0.3
        if keyed:
            params["key"] = f"k{len(self.world.log)}"
        if who in AGENTS and who not in self.world.sessions:
            who = "backend"  # the agent is away: let somebody else try
            if method in ("conversation.decline", "conversation.grab"):
                return None
        reply = self.world.ask(who, method, **params)
        if reply.error is not None:
            assert reply.error.code != INTERNAL, reply.error.message
            self.refusals += 1
            return None
        self.successes += 1
        if keyed and reply.question is None:
            self.keyed.append((who, method, params, encode_json(reply.result)))
            self.keyed_at.append(self.world.now)
        return reply.result

    def _conversation(self) -> str:
        known = sorted(self.world.core.house.conversations)
        return self.rng.choice(known) if known else "c000000000001"

    def _agent_acts(self) -> None:
        rng, who, conversation = self.rng, self.rng.choice((*AGENTS, "backend")), self._conversation()
        match rng.randint(0, 15):
            case 13 | 14:
                self._say(who, "conversation.grab", conversation=conversation)
            case 15:
                self._say(who, "conversation.move", conversation=conversation, service=rng.choice(SERVICES))
            case 0 | 1 | 2:
                self._say(who, "message.send", conversation=conversation, text="Hi")
            case 3:
                self._say(who, "conversation.close", conversation=conversation)
            case 4:
                length = rng.choice(["1s", "5m", "3h"])
                self._say(who, "conversation.snooze", conversation=conversation, **{"for": length})
            case 5:
                self._say(who, "conversation.wake", conversation=conversation)
            case 6:
                self._say(who, "conversation.join", conversation=conversation)
            case 7:
                self._say(who, "conversation.leave", conversation=conversation)
            case 8:
                actor = self.world.core.house.conversations.get(conversation)
                mine = actor is not None and actor.record.assignee
                self._say(mine or who, "conversation.decline", conversation=conversation)
            case 9:
                self._say(who, "conversation.reopen", conversation=conversation)
            case 10 | 11:
                self._hand_over(who, conversation)
            case 12:
                self._say(who, "message.comment", conversation=conversation, text="Note")

    def _hand_over(self, who: str, conversation: str) -> None:
        method = self.rng.choice(["conversation.transfer", "conversation.assign"])
        to: dict[str, Any] = {}
        if self.rng.random() < 0.6:
            to["agent"] = self.rng.choice(AGENTS)
        if self.rng.random() < 0.5:
            to["service"] = self.rng.choice(SERVICES)
        self._say(who, method, conversation=conversation, anyway=self.rng.random() < 0.5, **to)

    def _contact_writes(self) -> None:
        channel = self.rng.choice(CHANNELS)
        service = {"service": self.rng.choice(SERVICES)} if self.rng.random() < 0.8 else {}
        skills = {"skills": self.rng.sample(SKILLS, 1)} if self.rng.random() < 0.2 else {}
        external = self.rng.randint(0, 10 * len(self.world.log) + 10)
        self._say(f"connector:{channel}", "connector.receive", channel=channel, address=f"+{self.rng.randint(1, 12)}",
                  external_id=f"x{external}", text="Hello", **service, **skills)  # fmt: skip

    def _web_contact(self) -> None:
        who = f"contact:{self.rng.choice(['nia', 'oli', 'pat'])}"
        if self.rng.random() < 0.5:
            self._say(who, "message.send", conversation=self._conversation(), text="Me again")
            return
        to = {"agent": self.rng.choice(AGENTS)} if self.rng.random() < 0.2 else {"service": self.rng.choice(SERVICES)}
        self._say(who, "conversation.start", channel="web", text="Hello", **to)

    def _come_or_go(self) -> None:
        who = self.rng.choice(AGENTS)
        if who in self.world.sessions:
            self.world.end(who)
        elif self.rng.random() < 0.7:
            self.world.online(who)
        else:
            self.world.open(who)

    def _switch(self) -> None:
        classes = {"class": self.rng.choice(["chat", "messaging", "email"])} if self.rng.random() < 0.5 else {}
        who = self.rng.choice(AGENTS)
        self._say("backend", "agent.set_availability", agent=who, available=self.rng.random() < 0.7, **classes)

    def _operator(self) -> None:
        rng = self.rng
        match rng.randint(0, 3):
            case 0:
                self._say("backend", "agent.put", agent={"id": rng.choice(AGENTS), "capacity": _capacity(rng)})
            case 1:
                self._say("backend", "service.put", service=_service(rng, rng.choice(SERVICES)))
            case 2:
                priority = rng.randint(-100, 100)
                self._say("backend", "conversation.update", conversation=self._conversation(), priority=priority)
            case 3:
                skills = rng.sample(SKILLS, rng.randint(0, 2))
                self._say("backend", "conversation.update", conversation=self._conversation(), skills=skills)

    def _wait(self) -> None:
        self.world.wait(self.rng.choice([1, 50, 1_000, 30_000, 60_000, 181_000, 600_000, 3_600_000]))

    def _look(self) -> None:
        """Lists, watches, presence and explanations: whatever they say, they change nothing."""
        rng, who = self.rng, self.rng.choice((*AGENTS, "backend"))
        status = {"status": rng.choice(["pending", "overdue", "closed", "snoozed"])} if rng.random() < 0.5 else {}
        filters = {"view": rng.choice(["all", "joined", "mine"]), **status}
        match rng.randint(0, 4):
            case 0:
                self._say(who, "conversation.list", limit=rng.randint(1, 5), sort=rng.choice(SORTS), **filters)
            case 1:
                self._say(who, "conversation.watch", **filters)
            case 2:
                state = rng.choice(["viewing", "typing", "idle"])
                self._say(who, "conversation.presence", conversation=self._conversation(), state=state)
            case 3:
                self._say(who, "conversation.explain", conversation=self._conversation())
            case 4:
                self._say(who, "agent.watch")

    def _repeat(self) -> None:
        """A request repeated with its key is answered as before and changes nothing."""
        if not self.keyed:
            return
        index = self.rng.randrange(len(self.keyed))
        who, method, params, first = self.keyed[index]
        if method != "connector.receive" and self.world.now - self.keyed_at[index] >= KEY_MS:
            return  # a key holds for a day
        if who in AGENTS and who not in self.world.sessions:
            return
        if method == "connector.receive":
            params = {**params, "text": "something else"}
        if who not in self.world.sessions:
            self.world.open(who)
        self.world.wait(0)
        before = self.world.core.house.seq
        reply = self.world.ask(who, method, **params)
        assert reply.error is None, reply.error
        again = encode_json(reply.result)
        assert again == first, f"{method} with its key: first {first!r}, then {again!r}"
        assert self.world.core.house.seq == before, "a repeated request made new entries"

    def _crash(self) -> None:
        self._compare_with_reload()
        if self.rng.random() < 0.5:
            self.world.now += self.rng.choice([1, 20_000, 600_000, 86_400_000])
        self.world.boot()
        while self.world.core.behind:
            self.world.give()

    def _store_fails(self) -> None:
        """The store refuses a step: nothing of it has happened."""
        world, who = self.world, f"connector:{self.rng.choice(CHANNELS)}"
        if who not in world.sessions:
            world.open(who)
        params = {
            "channel": who[10:],
            "address": f"+{self.rng.randint(1, 12)}",
            "external_id": "refused",
            "text": "Lost",
        }
        requests = [world.asked(who, "connector.receive", **params)]
        requests.append(world.asked("backend", "conversation.close", conversation=self._conversation()))
        requests.append(world.asked("backend", "conversation.reopen", conversation=self._conversation()))
        world.fetch(*requests)
        before = snapshot(world.core)
        out = world.step(*requests)
        self._check_counts()
        gone = [world.step(Ended(number)) for number in self.rng.sample(sorted(world.sessions.values()), 1)]
        world.core.undo([out, *gone], world.now)
        self._check_counts()
        after = snapshot(world.core)
        forget_what_left(before, after)
        check_equal(before, after, "before the refused step", "after it was taken back")
        gone_name = next(name for name, number in world.sessions.items() if number not in world.core.house.sessions) \
            if len(world.core.house.sessions) < len(world.sessions) else None  # fmt: skip
        assert gone_name is None, f"the session of {gone_name} is gone though its end was taken back"

    # ------------------------------------------------------------ what must hold

    def _check(self) -> None:
        core = self.world.core
        assert not core.supervisor.failures, core.supervisor.parked
        problems = broken(core)
        assert not problems, "; ".join(problems[:5])
        self._check_counts()
        assert self.world.last is not None
        self._check_output(self.world.last)
        self.deliveries.check(self.world.last)
        self.meetings.check()
        self.mails.check()
        self.members.check()
        self.reading.check()

    def _check_counts(self) -> None:
        """Committed or not, in memory or not."""
        stored = self.world.store.read([ClosedIn(None, 10_000)])[0]
        problems = list(miscounted(self.world.core, stored))
        assert not problems, "; ".join(problems[:5])

    def _check_output(self, out: Output) -> None:
        seqs = [record.entry.seq for record in out.batch.entries]
        assert seqs == sorted(set(seqs)), "sequence numbers are not strictly increasing"
        for record in out.batch.entries:
            entry = record.entry
            routed = entry.type == "assigned" and entry.reason not in BY_HAND
            if routed and entry.agent is not None:
                owner = self.world.core.house.conversations[entry.conversation].record
                full = overfull(self.world.core, entry.agent, owner.channel_class or "")
                assert not full, f"{entry.agent} was routed {entry.conversation} above the maximum"

    def _compare_with_reload(self) -> None:
        """What a restart would find is what is in memory."""
        loaded = Core(self.world.settings)
        loaded.load(self.world.store.load(), self.world.now)
        now = self.world.now  # the wheel of the loaded one is where its first deadline was
        mine, theirs = (snapshot(core, live=False, now=now) for core in (self.world.core, loaded))
        check_equal(mine, theirs, "in memory", "after a reload")


def main() -> int:
    """Run many storms; 0 if all is well."""
    parser = argparse.ArgumentParser(description="Seeded storms against the core; prints the seed of a failure.")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--steps", type=int, default=400, help="steps a storm")
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.seeds):
        storm = Storm(seed)
        storm.run(options.steps)
        print(f"seed {seed}: {storm.successes} done, {storm.refusals} refused", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

__all__ = ["Reply", "Storm", "config", "main", "snapshot"]
