"""A conversation: what it is told and what is asked of it, and what it does when a deadline comes.

What a request may do in which state is said in ``states``. The parts stand in their own modules, each on
top of the one before: ``timeline`` (record, entries, timer), ``assignment``, ``membership``, ``handover``, ``life``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import answers, deadlines, fallback, files, forward, reading, templates, webhook
from actors.house import check_text
from actors.life import LivingActor
from actors.messages import (
    Active,
    Admit,
    Agreed,
    AssigneeLost,
    Begin,
    Deliver,
    Digested,
    Do,
    Due,
    Fate,
    Invite,
    Listen,
    Merged,
    NobodyFree,
    Reconfigured,
    Refill,
    Remove,
    Said,
    Seen,
    SentAgain,
    SwitchOff,
    Taken,
)
from actors.states import check_state
from actors.system import Turn
from actors.timeline import by_whom
from protocol.errors import bad_params, refused
from protocol.ids import Principal
from protocol.objects import SYSTEM, By, Entry
from protocol.outbox import MessageForward
from protocol.records import DeliveryRecord
from protocol.requests import (
    ConversationAssign,
    ConversationMove,
    ConversationName,
    ConversationSnooze,
    ConversationTransfer,
    ConversationUpdate,
    MessageComment,
    MessageReact,
    MessageSend,
    TemplateUse,
)

if TYPE_CHECKING:
    from msgspec import Struct

TAGS_MAX = 50


class ConversationActor(LivingActor):
    """One conversation."""

    __slots__ = ()

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Said():
                self._said(message, turn)
            case Do():
                self._do(message, turn)
            case Taken():
                self._taken(message, turn)
            case Begin():
                self._begin(message, turn)
            case Due():
                self._due(message.kind, turn)
            case NobodyFree():
                self._wait(turn)
            case AssigneeLost():
                self._assignee_lost(message.agent, turn)
            case Reconfigured():
                self._reconfigured(turn)
            case Agreed():
                told = (message.meeting.agent,)  # who need not be in the crew
                fields = {"meeting": message.meeting, "reason": message.reason}
                self._note(turn, "meeting", message.by, told=told, **fields)
            case Fate():
                self._fate(message.delivery, turn)
            case SentAgain():
                self._sent_again(message, turn)
            case Invite():
                self._invite(message, turn)
            case Remove():
                self._remove(message, turn)
            case Admit():
                self._admit(message, turn)
            case Merged():
                self._merged(message, turn)
            case Seen():
                reading.seen(self.record, message.reader, message.seq, message.counted, turn.now)
            case Digested():
                reading.mailed(self.record, message.reader)
            case _:
                raise AssertionError(f"a conversation cannot take {message}")

    # ------------------------------------------------------------ requests

    def _do(self, message: Do, turn: Turn) -> None:
        method, params, principal = message.method, message.params, message.principal
        record = self.record
        check_state(method, record, principal)
        if method == "message.send" and principal.role == "contact" and record.state == "closed":
            self._reopen_by_writing()
        by = by_whom(principal)
        match params:
            case MessageSend():
                self._send(params, principal, by, turn)
            case ConversationName():
                self._plain(method, principal, by, turn)
            case MessageReact():
                hidden = True if record.read_only else None
                turn.answer = self._note(turn, "reaction", by, to=params.to, emoji=params.emoji, anonymous=hidden)
            case MessageComment():
                check_text(params.text)
                turn.answer = self._note(turn, "comment", by, text=params.text)
            case MessageForward():
                turn.answer = forward.forward(self._house, record, params, by, turn)
            case ConversationSnooze():
                self._snooze(params, by, turn)
            case ConversationTransfer():
                self._hand_over(params, params.comment, method, principal, turn)
            case ConversationAssign():
                self._hand_over(params, None, method, principal, turn)
            case ConversationMove():
                self._move(params, by, turn)
            case ConversationUpdate():
                self._update(params, turn)
            case _:
                raise AssertionError(f"no rule for {method}")

    def _plain(self, method: str, principal: Principal, by: By, turn: Turn) -> None:
        """The requests that name nothing but the conversation."""
        match method:
            case "conversation.join":
                self._join(principal, by, turn)
            case "conversation.leave":
                self._leave(principal, by, turn)
            case "conversation.grab":
                self._grab(principal, by, turn)
            case "conversation.decline":
                self._decline(principal, by, turn)
            case "conversation.close":
                self.close(by, by.kind, turn)
            case "conference.start":
                self._start_conference(by, turn)
            case "conversation.wake":
                self._wake(by, by.kind, turn)
            case "conversation.reopen":
                self._reopen_by_hand(principal, by, turn)
            case _:
                raise AssertionError(f"no rule for {method}")

    # ------------------------------------------------------------ what is said

    def _send(self, params: MessageSend, principal: Principal, by: By, turn: Turn) -> None:
        if principal.role == "contact":
            if params.template is not None:
                raise refused("forbidden", "templates are for the house")
            self._said(Said(_said_in(params), params.reply_to, by=principal.sub, attachments=params.attachments), turn)
            turn.send(self._house.contacts[principal.sub], Active())
            return
        record, template = self.record, params.template
        text = templates.text_of(self._house, record, params)
        self._check_window(turn.now, template)
        reader = fallback.reader(self._house, record)
        text = _said_in(params) if template is None else _checked(text)
        files.attach(self._house, params.attachments, record.id, turn)
        entry = self._message(
            turn,
            by,
            text,
            params.attachments,
            params.reply_to,
            template=None if template is None else template.name,
            values=templates.values_of(self._house, template),  # for channels with templates of their own
            fallback=None if reader is None else "email",
        )
        turn.answer = entry
        if reader is not None:
            fallback.write(self._house, entry, reader, turn)
        waited_since = None
        if principal.role == "agent":  # only a human's answer ends the wait
            record.last_agent_message_at = turn.now
            waited_since = None if record.address is None else answers.answered(record)
            self._stop_clock()
        self._send_out(entry, turn, waited_since)

    def _send_out(self, entry: Entry, turn: Turn, waited_since: int | None = None) -> None:
        """To the contact through the channel's connector, if that is how it writes."""
        record = self.record
        if record.channel is not None and record.address is not None:
            turn.send(self._house.channel(record.channel), Deliver(entry, record.address, waited_since))

    def _sent_again(self, message: SentAgain, turn: Turn) -> None:
        if answers.sent_again(self.record, message.delivery, message.entry):
            self._stop_clock()
        self._note(turn, "delivery", message.by, to=message.delivery.seq, status="pending")

    def _fate(self, delivery: DeliveryRecord, turn: Turn) -> None:
        """What became of a message out is for the house to see; one that failed was no answer. [behaviour §5]"""
        self._note(turn, "delivery", SYSTEM, to=delivery.seq, status=delivery.status, error=delivery.error)
        if delivery.status == "failed":
            answers.failed(self.record, delivery, self.rules, turn.now)

    def _check_window(self, now: int, template: TemplateUse | None) -> None:
        """WhatsApp: outside 24 h after the contact's last message only an approved template. [S4]"""
        record = self.record
        if record.channel != "whatsapp":
            return
        if template is not None and self._house.templates[template.name].record.settings.approved:
            return
        last = record.last_contact_message_at
        if last is None or now > last + templates.WINDOW_MS:
            raise refused("window_closed")

    def _start_conference(self, by: By, turn: Turn) -> None:
        template = self._house.settings.conference_url
        if template is None:
            raise refused("not_found", "this workspace has no conference_url")
        self._check_window(turn.now, None)
        turn.answer = self._note(turn, "conference", by, url=template.replace("{conversation}", self.record.id))
        self._send_out(turn.answer, turn)

    def _update(self, params: ConversationUpdate, turn: Turn) -> None:
        record = self.record
        tags = [tag for tag in dict.fromkeys((*record.tags, *params.add_tags)) if tag not in params.remove_tags]
        if len(tags) > TAGS_MAX:
            raise refused("too_large", f"a conversation has at most {TAGS_MAX} tags", field="add_tags", limit=TAGS_MAX)
        record.tags = tuple(tags)
        record.name = record.name if params.name is None else params.name
        record.description = record.description if params.description is None else params.description
        self._share(params, turn)
        order = (record.priority, record.skills)
        record.priority = record.priority if params.priority is None else params.priority
        record.skills = record.skills if params.skills is None else params.skills
        if record.queued and order != (record.priority, record.skills):
            self._ask_for_agent(turn, again=True)

    # ------------------------------------------------------------ deadlines

    def _due(self, kind: str, turn: Turn) -> None:
        match kind:
            case "soon" | "overdue":
                self.record.lateness = deadlines.lateness(self.record, self.rules, turn.now)
            case "escalate":
                self._escalate(turn)
            case "snooze":
                self._wake(SYSTEM, "timer", turn)
            case "auto_close":
                self.close(SYSTEM, "auto", turn)
            case "offer":
                self._offer_timeout(turn)
            case "pause":
                self._end_pauses(turn)
            case "reply":
                self._no_reply(turn)
            case _:
                raise AssertionError(f"no such deadline: {kind}")

    def _escalate(self, turn: Turn) -> None:
        """Climb one rung of the ladder. [S0]"""
        record, rules = self.record, self.rules
        index = rules.next_step(record)
        assert index is not None
        step = rules.ladder[index]
        record.steps_fired = (*record.steps_fired, rules.names[index])
        match step.do:
            case "add_managers":
                managers = self._house.services[record.service or ""].managers
                record.crew = tuple(dict.fromkeys((*record.crew, *managers)))
                record.managers_added = True
            case "notify" | "move_to" | "webhook":
                pass  # the entry below tells them; the rest comes after it
            case "raise_priority":
                record.priority = min(100, record.priority + step.by)
                if record.queued:
                    self._ask_for_agent(turn)
        self._note(turn, "escalated", SYSTEM, service=record.service, step=index, reason=step.do, told=step.agents)
        if step.do == "move_to":
            self._overflow(step.service, turn)
        elif step.do == "webhook" and step.url is not None:
            webhook.call(self._house, record, step.url, index, turn)

    def _overflow(self, service: str | None, turn: Turn) -> None:
        """The ladder moves it to another service, unless that cannot take it or its own ladder has sent it away."""
        record, house = self.record, self._house
        if service is None or service not in house.services or service == record.service:
            return
        if any(fired.service == service and fired.step.do == "move_to" for fired in record.steps_fired):
            return
        contact = house.contacts.get(record.contact or "")
        channel = record.channel or ""
        taken = contact is not None and contact.live_in(channel, service, but=record.id)
        if not taken and house.services[service].record.settings.takes(channel):
            self._go_to(service, SYSTEM, None, turn)

    def _end_pauses(self, turn: Turn) -> None:
        record = self.record
        over = [agent for agent, until in record.paused if until <= turn.now]
        record.paused = tuple(pair for pair in record.paused if pair[1] > turn.now)
        for agent in over:
            if record.queued and agent in self._house.agents:
                turn.last(self._house.agents[agent], Refill(record.channel_class))

    def _no_reply(self, turn: Turn) -> None:
        """The agent let it wait: the next one gets it, and this one is switched off for the class."""
        record, agent = self.record, self.record.assignee
        assert agent is not None
        self._pause(agent, turn)
        turn.send(self._house.agents[agent], SwitchOff(record.channel_class or ""))
        self._unassign(turn, restart_idle=True)
        self._note(turn, "unassigned", SYSTEM, agent=agent, reason="no_reply")
        self._need("no_reply", turn)

    def _assignee_lost(self, agent: str, turn: Turn) -> None:
        """The agent's grace is over: what the service's policy says. [behaviour §9]"""
        record, policy = self.record, self.settings.on_disconnect
        answered = record.waiting_since is None
        if record.assignee != agent or policy == "keep" or (policy == "requeue_unanswered" and answered):
            return
        self._unassign(turn)
        self._note(turn, "unassigned", SYSTEM, agent=agent, reason="lost")
        self._need("requeued", turn)

    def _reconfigured(self, turn: Turn) -> None:
        """Deadlines move when the configuration moves; so does what waits."""
        record = self.record
        if self.settings.mode == "push":
            self._withdraw(turn, "pushed")
        if record.queued and record.routed != self._is_routed:
            record.routed = self._is_routed
            if not record.routed:
                self._offer(turn)
            self._ask_for_agent(turn)
        self.record.lateness = deadlines.lateness(self.record, self.rules, turn.now)

    def _wait(self, turn: Turn) -> None:
        """Nobody can take it now."""
        if self.record.queued:
            self._note(turn, "queued", SYSTEM, service=self.record.service, reason=self.record.need)
            turn.send(self._house.services[self.record.service or ""], Listen(self.record.id))


def _said_in(params: MessageSend) -> str:
    """The text of a message; one with files needs none. Raises RequestError (−32602, too_large)."""
    return "" if params.attachments and not params.text else _checked(params.text)


def _checked(text: str | None) -> str:
    """A message's text. Raises RequestError (−32602, too_large)."""
    if not text:
        raise bad_params("text", "at least one character")
    check_text(text)
    return text
