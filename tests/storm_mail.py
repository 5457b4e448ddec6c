"""The part of a storm that mails: what is forwarded and what falls back, to a mail server that has bad days.

The server takes a mail, puts it off, refuses it for good, or is never heard; it hears nothing of the house's crashes.
What must hold: each mail reaches it at least once, always the same under one id, and never again once the house has
its confirmation in the store. Whatever is sent can be written, and has no comment in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.effects import Mail, Mailed
from actors.errand import ATTEMPTS_MAX
from protocol.settings import MailSettings
from router.mail.draft import Draft
from router.mail.message import Post, Writer
from router.mail.renderer import Renderer

if TYPE_CHECKING:
    from tests.storm import Storm

PEOPLE = ("nia", "oli", "pat")
TO = ("guest@example.org", "lab@example.org")
COMMENT = "Note"  # what comments in a storm say
RESTS_MAX = 50


class Mails:
    """The mails of one storm, and the server that they reach."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._writer = Writer(MailSettings(), "main", Renderer())
        self._core = storm.world.core
        self._heard = 0  # of what came out
        self._answers: list[Mailed] = []  # that the house has not heard
        self._known: dict[str, Mail] = {}
        self._pending: set[str] = set()
        self._ids: dict[str, str] = {}  # Message-ID -> the mail's id
        self.attempts: dict[str, int] = {}
        self.reached: dict[str, int] = {}  # how often the server took it
        self.confirmed: set[str] = set()  # the house has it in its store that it was taken
        self.refused: set[str] = set()

    # ------------------------------------------------------------ what happens

    def act(self, agents: tuple[str, ...]) -> None:
        """Somebody forwards, has an address now, goes away; or the server's answers come."""
        rng, storm = self._storm.rng, self._storm
        match rng.randint(0, 5):
            case 0:
                who = rng.choice(PEOPLE)
                storm._say("backend", "contact.update", contact=who, email=f"{who}@example.org")
            case 1:
                who = f"contact:{rng.choice(PEOPLE)}"
                if who in storm.world.sessions:
                    storm.world.end(who)
            case 2:
                self._forward(rng.choice((*agents, "backend")))
            case _:
                self._answer()

    def _forward(self, who: str) -> None:
        rng, storm = self._storm.rng, self._storm
        conversation = storm._conversation()
        if conversation in storm.world.core.house.conversations:
            seqs = [entry.seq for entry in storm.world.timeline(conversation)]
            chosen = rng.sample(seqs, min(len(seqs), rng.randint(1, 3)))
            storm._say(who, "message.forward", conversation=conversation, messages=chosen, to=TO[: rng.randint(1, 2)])

    def _answer(self) -> None:
        """What the server has said so far is heard, in some order; the store may refuse to write it down at first."""
        world, rng = self._storm.world, self._storm.rng
        rng.shuffle(self._answers)
        answers, self._answers = self._answers, []
        if answers and self._storm.faults and rng.random() < 0.2:
            world.core.undo([world.step(*answers)], world.now)
        if answers:
            world.give(*answers)
        self.confirmed.update(answer.mail for answer in answers if answer.taken and not self._is_pending(answer.mail))

    def _is_pending(self, mail: str) -> bool:
        """Deadlines of the same step come first, and may leave no room for what was handed in."""
        return mail in self._storm.world.core.house.mails

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """Look at what came out since the last time."""
        world = self._storm.world
        if world.core is not self._core:  # it crashed before it heard
            self._core, self._answers = world.core, []
        outgoing = world.outgoing
        for mail in outgoing[self._heard :]:
            if isinstance(mail, Mail):
                self._attempted(mail)
        self._heard = len(outgoing)
        self._pending |= world.core.house.mails.keys()
        for ident in self._pending - world.core.house.mails.keys() - self.confirmed - self.refused:
            assert self.attempts[ident] == ATTEMPTS_MAX, f"{ident} was given up after {self.attempts[ident]} attempts"

    def _attempted(self, mail: Mail) -> None:
        assert mail.id not in self.confirmed, f"{mail.id} came again after its confirmation was in the store"
        assert self._known.setdefault(mail.id, mail) == mail, f"{mail.id} is not what it was"
        post = self._written(mail)
        assert self._ids.setdefault(post.message_id, mail.id) == mail.id, f"two mails are {post.message_id}"
        self.attempts[mail.id] = self.attempts.get(mail.id, 0) + 1
        self._serve(mail.id, self._storm.rng.random())

    def _written(self, mail: Mail) -> Post:
        draft = Draft(mail, str.title)
        while questions := draft.questions():
            draft.absorb(questions, self._storm.world.store.read(questions))
        letter = self._writer.letter(draft)
        assert COMMENT not in letter.text + letter.html, f"{mail.id} tells a comment"
        return self._writer.post(draft)

    def _serve(self, mail: str, luck: float) -> None:
        if luck < 0.6:
            self.reached[mail] = self.reached.get(mail, 0) + 1
        if luck < 0.5:
            self._answers.append(Mailed(mail, taken=True))
        elif 0.6 <= luck < 0.7:
            self._answers.append(Mailed(mail, taken=False, error="451 try later"))
        elif 0.7 <= luck < 0.75:
            self._answers.append(Mailed(mail, taken=False, permanent=True, error="550 no"))
            self.refused.add(mail)

    def rest(self) -> None:
        """The storm is over: whatever waits goes out."""
        world = self._storm.world
        for _ in range(RESTS_MAX):
            if not world.core.house.mails:
                break
            self._answer()
            world.wait(3_600_000)
            self.check()
        assert not world.core.house.mails, "mails are left"
        for mail in self._pending - self.refused:
            given_up = self.attempts[mail] == ATTEMPTS_MAX
            assert self.reached.get(mail) or given_up, f"{mail} was lost"
