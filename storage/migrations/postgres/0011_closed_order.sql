-- Closed conversations are listed by their last entry. While the indexes had last_seq itself, a message in a live one,
-- which is in none of these lists, made PostgreSQL write into every index of the table: an update is "heap-only" only if
-- no column of any index changes, whatever the index's condition. closed_seq changes for closed ones alone.
ALTER TABLE conversations ADD COLUMN closed_seq bigint GENERATED ALWAYS AS (CASE WHEN state = 'closed' THEN last_seq END) STORED;
ALTER TABLE conversations SET (fillfactor = 80);

DROP INDEX conversations_closed_of, conversations_closed_of_all, conversations_closed_in, conversations_closed;
CREATE INDEX conversations_closed_of ON conversations (contact, channel, closed_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_of_all ON conversations (contact, closed_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_in ON conversations (service, closed_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed ON conversations (closed_seq, id) WHERE state = 'closed';

-- What a server sends of a row: all but what the database works out.
CREATE TYPE conversations_row AS (
    id text,
    service text,
    channel text,
    contact text,
    state text,
    assignee text,
    crew json,
    begun_agent text,
    owner text,
    link text,
    members json,
    unmailed_since bigint,
    last_seq bigint,
    detail json
);
