-- Created conversations, links, what each reader has seen.
ALTER TABLE conversations ADD COLUMN created_by TEXT;
ALTER TABLE conversations ADD COLUMN members TEXT NOT NULL DEFAULT '[]';
ALTER TABLE conversations ADD COLUMN read_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN by_link INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN link TEXT;
ALTER TABLE conversations ADD COLUMN picture TEXT;
ALTER TABLE conversations ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN answered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN read TEXT NOT NULL DEFAULT '[]';
ALTER TABLE conversations ADD COLUMN unmailed_since INTEGER;
CREATE INDEX conversations_link ON conversations (link) WHERE link IS NOT NULL;
CREATE INDEX conversations_unmailed ON conversations (id) WHERE state = 'closed' AND unmailed_since IS NOT NULL;
UPDATE conversations SET messages =
    (SELECT count(*) FROM entries WHERE entries.conversation = conversations.id AND entries.type = 'message');

-- Who a contact is.
ALTER TABLE contacts ADD COLUMN language TEXT;
ALTER TABLE contacts ADD COLUMN signed_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contacts ADD COLUMN merged_into TEXT;

-- Messages out: what a failed one does to the wait, and when its status came.
ALTER TABLE deliveries ADD COLUMN waited_since INTEGER;
ALTER TABLE deliveries ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX deliveries_failed ON deliveries (seq) WHERE status = 'failed';

-- Mails on their way out; data is JSON, by kind.
CREATE TABLE mails (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    conversation TEXT,
    data TEXT NOT NULL,
    language TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    error TEXT
);
CREATE INDEX mails_pending ON mails (id) WHERE status = 'pending';
CREATE INDEX mails_failed ON mails (id) WHERE status = 'failed';
CREATE INDEX webhooks_failed ON webhooks (id) WHERE status = 'failed';

-- Whose digests of unread messages stand where.
CREATE TABLE digests (
    id TEXT PRIMARY KEY NOT NULL,
    sent INTEGER NOT NULL,
    last_at INTEGER
);
CREATE INDEX digests_sent ON digests (id) WHERE sent > 0;

-- Meetings with agents.
CREATE TABLE meetings (
    id TEXT PRIMARY KEY NOT NULL,
    agent TEXT NOT NULL,
    starts INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    subject TEXT,
    email TEXT,
    contact TEXT,
    status TEXT NOT NULL,
    conversation TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    reminded INTEGER NOT NULL,
    ends INTEGER NOT NULL
);
CREATE INDEX meetings_ahead ON meetings (ends) WHERE status != 'cancelled';

-- Uploaded files; their contents lie in the folder of files.
CREATE TABLE files (
    id TEXT PRIMARY KEY NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    size INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    conversations TEXT NOT NULL,
    deleted INTEGER NOT NULL
);
CREATE INDEX files_unsent ON files (created_at) WHERE conversations = '[]' AND NOT deleted;
