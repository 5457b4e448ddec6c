"""What each setting means, a sentence each, by its path; ``docs.generate`` puts them beside types and defaults.

They stand here and not at the fields because most of the structs are the protocol's own, where a sentence for operators
would be out of place. A test holds the table against the structs, both ways.
"""

from __future__ import annotations

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: section -> what stands above its table
SECTIONS: dict[str, str] = {
    "server": "Where the server listens and how long it waits.",
    "store": "Where everything is remembered.",
    "tls": "Encryption on the server's ports, TLS 1.2 or later. SIGHUP reads both files again.",
    "limits": "What one session, one principal and one remote address may send and hold. Rates are token buckets: so "
    "many a second, more after a pause.",
    "auth": "Whose tokens are accepted. The shared secret is not here: see [Secrets](#secrets).",
    "files": "Uploaded files: see [Files](files.md).",
    "mail": "How mail leaves the house; without this table none does: see [Mail](mail.md).",
    "log": "What is written to standard error. Tokens, secrets and what people write to each other are never logged.",
    "workspace": "The tenant. Its keys, `id` apart, may also stand at the top level of the file.",
    "services": "A service queue: who is in it, what it takes, how it routes and when it is late.",
    "services.members": "An agent's place in a service.",
    "services.business_hours": "When the house is open; without it all time counts.",
    "services.business_hours.weekly": 'Intervals of local time by weekday, such as `[["08:00", "12:00"], ["13:00", '
    '"17:00"]]`; the end is not part of an interval, `"24:00"` may end a day, an absent day is closed.',
    "services.escalation": "One rung of the ladder that a waiting contact climbs; `[]` = none.",
    "agents": "An agent, as the operator describes it.",
    "agents.working_hours": "When contacts can meet the agent: see [Meetings](meetings.md).",
    "agents.working_hours.weekly": "Intervals of the agent's local time by weekday, as in business hours.",
}

MEANINGS: dict[str, str] = {
    "server.host": "The address to listen on.",
    "server.port": "The port for WebSockets and HTTP; 0 = any free one, the ready line says which.",
    "server.http_port": "A second port for the same, for example to reach health and metrics from another network.",
    "server.origins": "Web origins that may connect, as patterns such as `https://*.example.com`; none = all. "
    "Clients that are no browsers send no origin and are not affected.",
    "server.proxies": "Addresses or networks (`10.0.0.0/8`) of proxies of yours. They are not counted themselves: what "
    "one remote address may take counts for whom `X-Forwarded-For` names, and for nobody if it names none.",
    "server.connections_max": "Connections at once; further ones are told to try later.",
    "server.handshake_s": "Seconds a new connection has to shake hands in TLS, and as many to send its request head.",
    "server.open_s": "Seconds a client then has to open its session; else it is cut off (4001).",
    "server.heartbeat_s": "Seconds between pings; two that go unanswered end a connection.",
    "server.shutdown_s": "Seconds that a shutdown may take to answer and commit what was taken.",
    "tls.certificate": "A PEM file with the certificate and what links it to its root; none = no TLS. Also "
    "`--tls-certificate`.",
    "tls.key": "A PEM file with its key, without a password; none = it is in the same file. Also `--tls-key`.",
    "store.url": "`sqlite:///path/file.db` (relative; four slashes = absolute) or `postgresql://user@host/database`.",
    "files.directory": "Where contents of files are kept; none = `files` beside the SQLite file, else `data/files`.",
    "files.bytes_max": "How large one file may be.",
    "files.types": "Media types that are taken, as patterns such as `image/*`. A type is told by the contents, not by "
    "the name. HTML, SVG and programs are not among them for good reason: they run where they are opened.",
    "limits.frame_bytes": "The largest frame; a larger one ends its connection (1009).",
    "limits.batch": "Requests in one frame, and answers in one frame back.",
    "limits.requests_per_s": "Requests a second of an agent or a contact.",
    "limits.requests_burst": "Requests at once of an agent or a contact after a pause.",
    "limits.trusted_requests_per_s": "Requests a second of a connector or backend.",
    "limits.trusted_requests_burst": "Requests at once of a connector or backend after a pause.",
    "limits.outbox_notices": "Notices that may wait for a client that does not read; then it is cut off (4008).",
    "limits.outbox_bytes": "Bytes that may wait for it; then the same.",
    "limits.refusals_max": "Requests refused for their rate within 10 s, after which a client is cut off (4029).",
    "limits.bytes_per_s": "Bytes a second that are read of an agent, a contact or an unknown, after those of one "
    "second or one frame at once. What is more is not refused but read later.",
    "limits.trusted_bytes_per_s": "The same of a connector or backend.",
    "limits.principal_outbox_bytes": "Bytes that may wait for all sessions of an agent or contact together; then the "
    "one with most is cut off (4008).",
    "limits.address_outbox_bytes": "Bytes that may wait for all agents and contacts of one address together; then the "
    "same.",
    "limits.principal_sessions": "Sessions of one principal at once; one more is refused (`rate_limited`, 1013).",
    "limits.principal_requests_per_s": "Requests a second of all sessions of one agent or contact together.",
    "limits.principal_requests_burst": "The same at once after a pause.",
    "limits.address_connections": "Connections at once of one remote address (of IPv6: a /64); further ones get 503.",
    "limits.address_connections_per_s": "New connections a second of one address, after a first burst of as many as it "
    "may have; further ones are dropped.",
    "limits.address_requests_per_s": "Requests a second of all agents and contacts of one address together.",
    "limits.address_requests_burst": "The same at once after a pause.",
    "limits.address_bytes_per_s": "Bytes a second that are read of all of them together.",
    "limits.address_faults": "Failed tokens, broken frames and the like of one address in a minute (a flood counts "
    "for ten); then upgrades from there get 429 for a while.",
    "auth.public_key_files": "PEM files with public keys, Ed25519 (EdDSA) or RSA (RS256), relative to the working "
    "directory. All are tried: name the old key beside the new one until its tokens have expired.",
    "auth.require_expiry": "Whether a token without `exp` is refused.",
    "log.level": "The least important kind of event that is written.",
    "log.format": "`json`: one object a line; `console`: for people.",
    "workspace.id": "Its name; a token's `ws` must be the same.",
    "workspace.channel_classes": "Class → its channels, in place of the defaults as a whole; a channel named nowhere "
    "is in `messaging`.",
    "workspace.conference_url": "What a conference's link is made from.",
    "mail.sender": "The address that mails come from, with or without a name: `Support <support@example.org>`.",
    "mail.host": "The mail server.",
    "mail.port": "Its port.",
    "mail.security": "`tls` from the start, `starttls`, or `none` at all.",
    "mail.username": "The name to log in with; its password is in `SIGNALBOX_SMTP_PASSWORD`. Absent = no login.",
    "mail.language": "Of those who have none of their own.",
    "mail.time_zone": "Of people outside, for times in mails and the days of digests: an IANA name.",
    "mail.unsubscribe": "A link, `https://…` or `mailto:…`, in the header of digests; `{recipient}` = the address.",
    "mail.templates": "A folder whose templates go before those that come along.",
    "services.id": "Its name in requests; opaque, never shown to contacts.",
    "services.name": "Its name for people.",
    "services.mode": "How conversations find their agent: `push` gives each to the first available one, `grab` offers "
    "it to all and the first to take it owns it, `collaboration` offers it to all and all may answer.",
    "services.members": "Its agents.",
    "services.channels": "The channels it takes; none = all.",
    "services.strategy": "Which of the available agents is the first: `longest_idle`, `least_busy` (fewest used "
    "slots), `most_spare` (most free slots), `lowest_ratio` (used to maximum), `round_robin` (the next in the list).",
    "services.sticky": "Whether the contact's last agent is taken first, if available.",
    "services.max_slots": "Class → conversations of this service that one agent may have; absent = no limit, 0 = none.",
    "services.soon_after": "How long a contact may wait for an answer before the conversation is marked `soon`.",
    "services.overdue_after": "The same for `overdue`; more than `soon_after`.",
    "services.escalation": "What happens at a long wait.",
    "services.auto_close_after": 'Quiet time after which a conversation closes by itself; `"never"` in a file = not at '
    "all.",
    "services.reopen": "A contact who writes again after a close gets the `same` conversation back, or a `new` one.",
    "services.offer_within": "How long an offer of `grab` or `collaboration` stands before the conversation is pushed "
    "to the first available agent; absent = for ever.",
    "services.reply_within": "How long an agent who was given a conversation may be silent before it goes to another "
    "one; absent = for ever.",
    "services.decline_pause": "How long an agent who declined or lost a conversation is no candidate for it.",
    "services.disconnect_grace": "How long an agent whose connection was lost has to come back before it counts.",
    "services.on_disconnect": "What then happens to the agent's conversations: `requeue_unanswered` sends those that "
    "wait for an answer back to the queue, `requeue_all` all of them, `keep` none.",
    "services.business_hours": "Open time, which `soon_after`, `overdue_after` and the escalation count.",
    "services.skills": "Skills that an agent needs for every conversation here.",
    "services.max_waiting": "Conversations that may wait in the queue; contacts who would start one more are refused "
    "(`queue_full`). Absent = no limit.",
    "services.members.agent": "The agent's id.",
    "services.members.role": "`admin` sees and joins everything here; `representative` works here.",
    "services.members.manager": "Whether `add_managers` adds this member; without any manager it adds the admins.",
    "services.members.routed": "Whether new conversations go to this member by themselves; absent = yes, save "
    "for admins.",
    "services.escalation.after": "After so long a wait.",
    "services.escalation.do": "`add_managers` to the crew, `notify` some agents, `raise_priority`, `webhook`, or "
    "`move_to` another service.",
    "services.escalation.agents": "Whom `notify` tells.",
    "services.escalation.by": "By how much `raise_priority` raises it.",
    "services.escalation.service": "Where `move_to` moves it.",
    "services.escalation.url": "Whom `webhook` calls, with a signed POST, until it is taken.",
    "services.business_hours.time_zone": "An IANA name such as `Europe/Oslo`; daylight-saving changes are followed.",
    "services.business_hours.weekly": "The hours of each weekday.",
    "services.business_hours.holidays": 'Closed dates, such as `"2026-12-25"`.',
    **{f"services.business_hours.weekly.{day[:3].lower()}": f"{day}'s intervals." for day in WEEKDAYS},
    "agents.id": "The agent's id; the same as `sub` in the agent's token.",
    "agents.name": "The name for people.",
    "agents.email": "The agent's e-mail address.",
    "agents.capacity": "Class → conversations at once over all services; absent = no limit, 0 = none.",
    "agents.skills": "What the agent can do; compared with what services and conversations require.",
    "agents.time_zone": "An IANA name such as `Europe/Oslo`.",
    "agents.working_hours": "When contacts can meet the agent; absent = they cannot.",
    "agents.working_hours.weekly": "The hours of each weekday, on the agent's clock.",
    **{f"agents.working_hours.weekly.{day[:3].lower()}": f"{day}'s intervals." for day in WEEKDAYS},
    "agents.language": "Of mails to the agent, such as `en`; absent = that of `mail`.",
    "agents.confirm_meetings": "Whether what a contact books waits for the agent to confirm it.",
}
