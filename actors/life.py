"""A conversation's life: begun, written to, snoozed, woken, closed, reopened. [behaviour §4]

open (assigned or waiting) -> snoozed -> open -> closed -> (reopened) open
"""

from __future__ import annotations

from actors import files, reading
from actors.handover import HandedActor
from actors.messages import Begin, Handover, Said, Take
from actors.system import Turn
from protocol.errors import bad_params, refused
from protocol.ids import Principal
from protocol.objects import By
from protocol.requests import ConversationSnooze
from protocol.times import MILLISECONDS, Duration, Moment

SNOOZE_MS_MAX = 365 * MILLISECONDS["d"]
PREVIEW_MAX = 120


class LivingActor(HandedActor):
    """The part of a conversation that lives and ends."""

    __slots__ = ()

    def _begin(self, message: Begin, turn: Turn) -> None:
        record = self.record
        record.created_at = record.stirred_at = turn.now
        self._note(turn, "created", message.by, reason=message.by.kind)
        if message.text is not None:
            self._write(message.text, None, turn, attachments=message.attachments)
        if message.meets is None and not self._is_created:
            self._need("new", turn, new_age=True, prefer=message.prefer)
        elif message.meets is not None and self._has_service:
            self._give(message.meets, Handover(message.by, "meeting.schedule"), "assigned", turn)

    def _said(self, message: Said, turn: Turn) -> None:
        """Somebody outside wrote. A snoozed conversation wakes, a closed one reopens. [behaviour §4]"""
        record = self.record
        record.address = message.address or record.address
        contact = By("contact", message.by or record.contact)
        if record.state == "closed":
            self._reopen(contact, turn)
            self._write(message.text, message.reply_to, turn, contact, message.attachments)
            if not self._is_created:
                self._need("reopened", turn, new_age=True, prefer=message.prefer)
            return
        self._write(message.text, message.reply_to, turn, contact, message.attachments)
        if record.state == "snoozed" and message.text is not None:
            self._wake(contact, "contact", turn)

    def _write(
        self,
        text: str | None,
        reply_to: int | None,
        turn: Turn,
        by: By | None = None,
        attachments: tuple[str, ...] = (),
    ) -> None:
        """Put a message from outside down, the contact's if nobody else's, and start the clock if it stands still."""
        if text is None:
            return
        record = self.record
        by = by or By("contact", record.contact)
        files.attach(self._house, attachments, record.id, turn)
        turn.answer = self._message(turn, by, text, attachments, reply_to)
        record.last_contact_message_at = turn.now
        record.preview = text[:PREVIEW_MAX]
        if record.waiting_since is None and not self._is_created:
            record.waiting_since = turn.now

    def close(self, by: By, reason: str, turn: Turn) -> None:
        """End it: the slot frees, the clocks stop; the crew stays to be seen until it is reopened."""
        record = self.record
        crew = record.crew
        self._unassign(turn)
        self._stop_waiting(turn, "closed")
        record.crew = crew
        record.state, record.closed_at = "closed", turn.now
        record.snoozed_until = record.snoozed_by = None
        record.managers_added = False
        record.ended_wait = None
        self._stop_clock()
        self._note(turn, "closed", by, reason=reason)
        reading.close(record)

    def _reopen(self, by: By, turn: Turn) -> None:
        record = self.record
        self._refuse_second_live(record.service)
        if not self._has_service and not self._is_created:
            raise refused("wrong_state", "its service is no more", state="closed")
        record.state, record.closed_at = "open", None
        if not self._is_created:
            record.crew = record.joined = ()
        record.paused = tuple(pair for pair in record.paused if pair[1] > turn.now)
        record.stirred_at = turn.now
        self._note(turn, "reopened", by, reason=by.kind)

    def _reopen_by_writing(self) -> None:
        """A contact writes into a closed conversation: allowed where closed ones go on."""
        if self.settings.reopen == "new":
            raise refused("wrong_state", "it is closed; start a new conversation", state="closed")

    def _reopen_by_hand(self, principal: Principal, by: By, turn: Turn) -> None:
        self._reopen(by, turn)
        if self._is_created:
            return
        if principal.role != "agent":
            self._need("reopened", turn, new_age=True)
            return
        self._give(principal.sub, Handover(by, "conversation.reopen"), "reopened", turn)

    def _give(self, agent: str, handover: Handover, reason: str, turn: Turn) -> None:
        """To this agent, above the maximum if need be."""
        record = self.record
        record.age_since = turn.now
        take = Take(record.id, record.service or "", record.channel_class or "", reason, handover, forced=True)
        turn.send(self._house.agents[agent], take)

    def _wake(self, by: By, reason: str, turn: Turn) -> None:
        record = self.record
        record.state, record.snoozed_until, record.snoozed_by = "open", None, None
        record.stirred_at = turn.now
        self._note(turn, "woke", by, reason=reason)
        self._need("woke", turn, new_age=True)

    def _stop_clock(self) -> None:
        """An answer or an end: the wait is over and the ladder is armed again."""
        record = self.record
        record.waiting_since = record.lateness = None
        record.steps_fired = ()
        record.reply_due = None

    def _snooze(self, params: ConversationSnooze, by: By, turn: Turn) -> None:
        until = _snooze_until(params, turn.now)
        record = self.record
        told = () if record.assignee is None else (record.assignee,)
        self._unassign(turn)
        self._stop_waiting(turn, "taken")
        record.state, record.snoozed_until, record.snoozed_by = "snoozed", until, by.id
        self._note(turn, "snoozed", by, told=told, until=Moment(until))


def _snooze_until(params: ConversationSnooze, now: int) -> int:
    """The moment a snooze ends. Raises RequestError (−32602)."""
    if (params.length is None) == (params.until is None):
        raise bad_params("for", "either for or until")
    if params.length is not None:
        field, until = "for", now + params.length
    else:
        field, until = "until", int(params.until or 0)
    if not now < until <= now + SNOOZE_MS_MAX:
        raise bad_params(field, f"a moment in the future, at most {Duration(SNOOZE_MS_MAX).text()} away")
    return until
