-- Created conversations, links, what each reader has seen.
ALTER TABLE conversations ADD COLUMN created_by text;
ALTER TABLE conversations ADD COLUMN members json NOT NULL DEFAULT '[]';
ALTER TABLE conversations ADD COLUMN read_only boolean NOT NULL DEFAULT false;
ALTER TABLE conversations ADD COLUMN by_link boolean NOT NULL DEFAULT false;
ALTER TABLE conversations ADD COLUMN link text;
ALTER TABLE conversations ADD COLUMN picture text;
ALTER TABLE conversations ADD COLUMN messages bigint NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN answered bigint NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN read json NOT NULL DEFAULT '[]';
ALTER TABLE conversations ADD COLUMN unmailed_since bigint;
CREATE INDEX conversations_link ON conversations (link) WHERE link IS NOT NULL;
CREATE INDEX conversations_unmailed ON conversations (id) WHERE state = 'closed' AND unmailed_since IS NOT NULL;
UPDATE conversations SET messages =
    (SELECT count(*) FROM entries WHERE entries.conversation = conversations.id AND entries.type = 'message');

-- Who a contact is.
ALTER TABLE contacts ADD COLUMN language text;
ALTER TABLE contacts ADD COLUMN signed_in boolean NOT NULL DEFAULT false;
ALTER TABLE contacts ADD COLUMN merged_into text;

-- Messages out: what a failed one does to the wait, and when its status came.
ALTER TABLE deliveries ADD COLUMN waited_since bigint;
ALTER TABLE deliveries ADD COLUMN changed_at bigint NOT NULL DEFAULT 0;
CREATE INDEX deliveries_failed ON deliveries (seq) WHERE status = 'failed';

-- Mails on their way out; data is JSON, by kind.
CREATE TABLE mails (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    recipient text NOT NULL,
    conversation text,
    data text NOT NULL,
    language text NOT NULL,
    created_at bigint NOT NULL,
    attempts bigint NOT NULL,
    next_at bigint NOT NULL,
    status text NOT NULL,
    error text
);
CREATE INDEX mails_pending ON mails (id) WHERE status = 'pending';
CREATE INDEX mails_failed ON mails (id) WHERE status = 'failed';
CREATE INDEX webhooks_failed ON webhooks (id) WHERE status = 'failed';

-- Whose digests of unread messages stand where.
CREATE TABLE digests (
    id text COLLATE "C" PRIMARY KEY,
    sent bigint NOT NULL,
    last_at bigint
);
CREATE INDEX digests_sent ON digests (id) WHERE sent > 0;

-- Meetings with agents.
CREATE TABLE meetings (
    id text COLLATE "C" PRIMARY KEY,
    agent text NOT NULL,
    starts bigint NOT NULL,
    minutes bigint NOT NULL,
    subject text,
    email text,
    contact text,
    status text NOT NULL,
    conversation text NOT NULL,
    sequence bigint NOT NULL,
    reminded boolean NOT NULL,
    ends bigint NOT NULL
);
CREATE INDEX meetings_ahead ON meetings (ends) WHERE status != 'cancelled';

-- Uploaded files; their contents lie in the folder of files.
CREATE TABLE files (
    id text COLLATE "C" PRIMARY KEY,
    owner text NOT NULL,
    name text NOT NULL,
    type text NOT NULL,
    size bigint NOT NULL,
    created_at bigint NOT NULL,
    conversations json NOT NULL,
    deleted boolean NOT NULL
);
CREATE INDEX files_unsent ON files (created_at) WHERE conversations::text = '[]' AND NOT deleted;
