-- The first schema, SQLite. Times are milliseconds since 1970 (UTC); the views at the end show them as times.
-- Booleans are 0 and 1; lists and settings are JSON text.

-- All conversations, live and closed: a column for each field of ConversationRecord.
CREATE TABLE conversations (
    id TEXT PRIMARY KEY NOT NULL,
    service TEXT,
    channel TEXT,
    channel_class TEXT,
    contact TEXT,
    address TEXT,
    begun_service TEXT,
    begun_agent TEXT,
    name TEXT,
    description TEXT,
    state TEXT NOT NULL,
    assignee TEXT,
    assigned_at INTEGER,
    crew TEXT NOT NULL,
    joined TEXT NOT NULL,
    queued INTEGER NOT NULL,
    age_since INTEGER NOT NULL,
    need TEXT NOT NULL,
    priority INTEGER NOT NULL,
    skills TEXT NOT NULL,
    tags TEXT NOT NULL,
    paused TEXT NOT NULL,
    waiting_since INTEGER,
    lateness TEXT,
    ladder_fired INTEGER NOT NULL,
    managers_added INTEGER NOT NULL,
    reply_due INTEGER,
    snoozed_until INTEGER,
    snoozed_by TEXT,
    created_at INTEGER NOT NULL,
    stirred_at INTEGER NOT NULL,
    last_contact_message_at INTEGER,
    last_agent_message_at INTEGER,
    closed_at INTEGER,
    last_seq INTEGER NOT NULL
);

-- what start-up loads; a contact's history on a channel, and on all; a service's history; all history
CREATE INDEX conversations_live ON conversations (id) WHERE state IN ('open', 'snoozed');
CREATE INDEX conversations_closed_of ON conversations (contact, channel, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_of_all ON conversations (contact, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_in ON conversations (service, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed ON conversations (last_seq, id) WHERE state = 'closed';

-- Agents: settings as the operator gave them (JSON), switches, idle clocks, presence.
CREATE TABLE agents (
    id TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL,
    settings TEXT NOT NULL,
    switched_on TEXT NOT NULL,
    assigned_last TEXT NOT NULL,
    live INTEGER NOT NULL,
    lost_at INTEGER,
    grace_done INTEGER NOT NULL
);

-- Services: settings as the operator gave them (JSON), and where round robin stands.
CREATE TABLE services (
    id TEXT PRIMARY KEY NOT NULL,
    position INTEGER NOT NULL,
    settings TEXT NOT NULL,
    picked_last TEXT
);

-- People outside. Their addresses stand here as JSON and, to be looked up, in contact_addresses.
CREATE TABLE contacts (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT,
    email TEXT,
    phone TEXT,
    company TEXT,
    location TEXT,
    custom TEXT NOT NULL,
    addresses TEXT NOT NULL,
    last_active INTEGER,
    last_agent TEXT
);

-- Whose address it is.
CREATE TABLE contact_addresses (
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    contact TEXT NOT NULL,
    PRIMARY KEY (channel, address)
) WITHOUT ROWID;

CREATE INDEX contact_addresses_of ON contact_addresses (contact);

-- The timeline of all conversations. audience: to whom an entry was told live, each between two U+001F.
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    type TEXT NOT NULL,
    by_kind TEXT,
    by_id TEXT,
    audience TEXT NOT NULL,
    agent TEXT,
    service TEXT,
    reason TEXT,
    text TEXT,
    detail TEXT
);

CREATE INDEX entries_of ON entries (conversation, seq);

-- The first answers to requests that carried a key, until they expire.
CREATE TABLE request_keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer BLOB NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (owner, key)
);

CREATE INDEX request_keys_expiry ON request_keys (expires_at) WHERE expires_at IS NOT NULL;

-- Messages on their way out through a connector.
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT
);

CREATE INDEX deliveries_pending ON deliveries (seq) WHERE status = 'pending';

-- How many batches were committed, and which process made the last. Every commit counts on from the number it
-- knows, so two servers that write to one database are noticed at once.
CREATE TABLE commits (
    number INTEGER NOT NULL,
    writer TEXT NOT NULL
);
INSERT INTO commits VALUES (0, '');

-- The same with readable times, for people.
CREATE VIEW conversations_readable AS
SELECT
    id, service, channel, contact, name, state, assignee, crew, queued, priority, skills, tags, lateness,
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', assigned_at / 1000.0, 'unixepoch') AS assigned_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', waiting_since / 1000.0, 'unixepoch') AS waiting_since,
    strftime('%Y-%m-%dT%H:%M:%fZ', snoozed_until / 1000.0, 'unixepoch') AS snoozed_until,
    strftime('%Y-%m-%dT%H:%M:%fZ', last_contact_message_at / 1000.0, 'unixepoch') AS last_contact_message_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', last_agent_message_at / 1000.0, 'unixepoch') AS last_agent_message_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', closed_at / 1000.0, 'unixepoch') AS closed_at,
    last_seq
FROM conversations;

CREATE VIEW entries_readable AS
SELECT
    seq,
    conversation,
    strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch') AS at,
    type, by_kind, by_id, agent, service, reason, text, detail
FROM entries;
