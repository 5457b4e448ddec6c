-- Rows are sent as values of their table's type, so columns stand in the order of the record's fields: what a field
-- adds is added at the end of both. In two tables they did not.
ALTER TABLE mails RENAME TO mails_before;
DROP INDEX mails_pending, mails_failed_at;
CREATE TABLE mails (
    id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    recipient text NOT NULL,
    data text NOT NULL,
    conversation text,
    language text NOT NULL,
    created_at bigint NOT NULL,
    attempts bigint NOT NULL,
    next_at bigint NOT NULL,
    status text NOT NULL,
    error text
);
INSERT INTO mails
SELECT id, kind, recipient, data, conversation, language, created_at, attempts, next_at, status, error FROM mails_before;
DROP TABLE mails_before;
ALTER TABLE mails ADD PRIMARY KEY (id);
CREATE INDEX mails_pending ON mails (id) WHERE status = 'pending';
CREATE INDEX mails_failed_at ON mails (created_at, id) WHERE status = 'failed';

ALTER TABLE meetings RENAME TO meetings_before;
DROP INDEX meetings_ahead;
CREATE TABLE meetings (
    id text COLLATE "C" NOT NULL,
    agent text NOT NULL,
    starts bigint NOT NULL,
    minutes bigint NOT NULL,
    conversation text NOT NULL,
    subject text,
    email text,
    contact text,
    status text NOT NULL,
    sequence bigint NOT NULL,
    reminded boolean NOT NULL,
    ends bigint NOT NULL
);
INSERT INTO meetings
SELECT id, agent, starts, minutes, conversation, subject, email, contact, status, sequence, reminded, ends
FROM meetings_before;
DROP TABLE meetings_before;
ALTER TABLE meetings ADD PRIMARY KEY (id);
CREATE INDEX meetings_ahead ON meetings (ends) WHERE status != 'cancelled';
