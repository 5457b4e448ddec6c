-- Offers (grab and collaboration services), moves, templates.
ALTER TABLE conversations ADD COLUMN routed boolean NOT NULL DEFAULT true;
ALTER TABLE conversations ADD COLUMN offered_at bigint;
ALTER TABLE conversations ADD COLUMN preview text;
ALTER TABLE conversations ADD COLUMN owner text;
ALTER TABLE conversations ADD COLUMN moved_to text;

-- What is deleted stays as a row that says so.
ALTER TABLE agents ADD COLUMN deleted boolean NOT NULL DEFAULT false;
ALTER TABLE services ADD COLUMN deleted boolean NOT NULL DEFAULT false;

-- Templates: settings as the operator gave them (JSON).
CREATE TABLE templates (
    id text COLLATE "C" PRIMARY KEY,
    settings json NOT NULL,
    deleted boolean NOT NULL
);

-- Calls to operators' URLs; those pending are loaded at start-up.
CREATE TABLE webhooks (
    id bigint PRIMARY KEY NOT NULL,
    conversation text NOT NULL,
    url text NOT NULL,
    body text NOT NULL,
    attempts bigint NOT NULL,
    next_at bigint NOT NULL,
    status text NOT NULL
);
CREATE INDEX webhooks_pending ON webhooks (id) WHERE status = 'pending';
