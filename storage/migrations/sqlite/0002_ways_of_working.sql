-- Offers (grab and collaboration services), moves, templates.
ALTER TABLE conversations ADD COLUMN routed INTEGER NOT NULL DEFAULT 1;
ALTER TABLE conversations ADD COLUMN offered_at INTEGER;
ALTER TABLE conversations ADD COLUMN preview TEXT;
ALTER TABLE conversations ADD COLUMN owner TEXT;
ALTER TABLE conversations ADD COLUMN moved_to TEXT;

-- What is deleted stays as a row that says so.
ALTER TABLE agents ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE services ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;

-- Templates: settings as the operator gave them (JSON).
CREATE TABLE templates (
    id TEXT PRIMARY KEY NOT NULL,
    settings TEXT NOT NULL,
    deleted INTEGER NOT NULL
);

-- Calls to operators' URLs; those pending are loaded at start-up.
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY NOT NULL,
    conversation TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    status TEXT NOT NULL
);
CREATE INDEX webhooks_pending ON webhooks (id) WHERE status = 'pending';
