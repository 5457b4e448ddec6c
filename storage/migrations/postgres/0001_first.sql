-- The first schema, PostgreSQL. Times are milliseconds since 1970 (UTC); the views at the end show them as times.
-- Ids are compared by bytes (COLLATE "C"), so that their order is the same everywhere. JSON is json, not jsonb:
-- it comes back exactly as it was written.

-- All conversations, live and closed: a column for each field of ConversationRecord.
CREATE TABLE conversations (
    id text COLLATE "C" PRIMARY KEY,
    service text COLLATE "C",
    channel text COLLATE "C",
    channel_class text,
    contact text COLLATE "C",
    address text COLLATE "C",
    begun_service text,
    begun_agent text,
    name text,
    description text,
    state text NOT NULL,
    assignee text,
    assigned_at bigint,
    crew json NOT NULL,
    joined json NOT NULL,
    queued boolean NOT NULL,
    age_since bigint NOT NULL,
    need text NOT NULL,
    priority bigint NOT NULL,
    skills json NOT NULL,
    tags json NOT NULL,
    paused json NOT NULL,
    waiting_since bigint,
    lateness text,
    ladder_fired bigint NOT NULL,
    managers_added boolean NOT NULL,
    reply_due bigint,
    snoozed_until bigint,
    snoozed_by text,
    created_at bigint NOT NULL,
    stirred_at bigint NOT NULL,
    last_contact_message_at bigint,
    last_agent_message_at bigint,
    closed_at bigint,
    last_seq bigint NOT NULL
);

-- what start-up loads; a contact's history on a channel, and on all; a service's history; all history
CREATE INDEX conversations_live ON conversations (id) WHERE state IN ('open', 'snoozed');
CREATE INDEX conversations_closed_of ON conversations (contact, channel, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_of_all ON conversations (contact, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_in ON conversations (service, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed ON conversations (last_seq, id) WHERE state = 'closed';

-- Agents: settings as the operator gave them (JSON), switches, idle clocks, presence.
CREATE TABLE agents (
    id text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    settings json NOT NULL,
    switched_on json NOT NULL,
    assigned_last json NOT NULL,
    live boolean NOT NULL,
    lost_at bigint,
    grace_done bigint NOT NULL
);

-- Services: settings as the operator gave them (JSON), and where round robin stands.
CREATE TABLE services (
    id text COLLATE "C" PRIMARY KEY,
    position bigint NOT NULL,
    settings json NOT NULL,
    picked_last text
);

-- People outside. Their addresses stand here as JSON and, to be looked up, in contact_addresses.
CREATE TABLE contacts (
    id text COLLATE "C" PRIMARY KEY,
    name text,
    email text,
    phone text,
    company text,
    location text,
    custom json NOT NULL,
    addresses json NOT NULL,
    last_active bigint,
    last_agent text
);

-- Whose address it is.
CREATE TABLE contact_addresses (
    channel text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    contact text COLLATE "C" NOT NULL,
    PRIMARY KEY (channel, address)
);

CREATE INDEX contact_addresses_of ON contact_addresses (contact);

-- The timeline of all conversations. audience: to whom an entry was told live, each between two U+001F.
CREATE TABLE entries (
    seq bigint PRIMARY KEY,
    conversation text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    type text NOT NULL,
    by_kind text,
    by_id text,
    audience text NOT NULL,
    agent text,
    service text COLLATE "C",
    reason text,
    text text,
    detail json
);

CREATE INDEX entries_of ON entries (conversation, seq);

-- The first answers to requests that carried a key, until they expire.
CREATE TABLE request_keys (
    owner text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    digest text NOT NULL,
    answer bytea NOT NULL,
    expires_at bigint,
    PRIMARY KEY (owner, key)
);

CREATE INDEX request_keys_expiry ON request_keys (expires_at) WHERE expires_at IS NOT NULL;

-- Messages on their way out through a connector.
CREATE TABLE deliveries (
    seq bigint PRIMARY KEY,
    conversation text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    address text COLLATE "C" NOT NULL,
    status text NOT NULL,
    error text
);

CREATE INDEX deliveries_pending ON deliveries (seq) WHERE status = 'pending';

-- How many batches were committed, and which process made the last. Every commit counts on from the number it
-- knows, so two servers that write to one database are noticed at once, and a commit whose
-- answer was lost is found again (storage/postgres_writing.py).
CREATE TABLE commits (
    number bigint NOT NULL,
    writer text NOT NULL
);
INSERT INTO commits VALUES (0, '');

-- The same with readable times, for people.
CREATE VIEW conversations_readable AS
SELECT
    id, service, channel, contact, name, state, assignee, crew, queued, priority, skills, tags, lateness,
    to_timestamp(created_at / 1000.0) AS created_at,
    to_timestamp(assigned_at / 1000.0) AS assigned_at,
    to_timestamp(waiting_since / 1000.0) AS waiting_since,
    to_timestamp(snoozed_until / 1000.0) AS snoozed_until,
    to_timestamp(last_contact_message_at / 1000.0) AS last_contact_message_at,
    to_timestamp(last_agent_message_at / 1000.0) AS last_agent_message_at,
    to_timestamp(closed_at / 1000.0) AS closed_at,
    last_seq
FROM conversations;

CREATE VIEW entries_readable AS
SELECT
    seq,
    conversation,
    to_timestamp(at_ms / 1000.0) AS at,
    type, by_kind, by_id, agent, service, reason, text, detail
FROM entries;
