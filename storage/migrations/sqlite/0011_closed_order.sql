-- Closed conversations are listed by their last entry: by a column of their own, as PostgreSQL needs it.
ALTER TABLE conversations ADD COLUMN closed_seq INTEGER GENERATED ALWAYS AS (iif(state = 'closed', last_seq, NULL)) VIRTUAL;

DROP INDEX conversations_closed_of;
DROP INDEX conversations_closed_of_all;
DROP INDEX conversations_closed_in;
DROP INDEX conversations_closed;
CREATE INDEX conversations_closed_of ON conversations (contact, channel, closed_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_of_all ON conversations (contact, closed_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_in ON conversations (service, closed_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed ON conversations (closed_seq, id) WHERE state = 'closed';
