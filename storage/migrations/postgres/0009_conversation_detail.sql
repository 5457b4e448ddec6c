-- A conversation's row has a column for what queries ask for; the rest of it, which is most, stands in detail, as JSON:
-- a row of 51 columns cost a tenth to a sixth more at every message. What is not in detail has its default.
DROP VIEW conversations_readable;
ALTER TABLE conversations RENAME TO conversations_before;

CREATE TABLE conversations (
    id text COLLATE "C" NOT NULL,
    service text COLLATE "C",
    channel text COLLATE "C",
    contact text COLLATE "C",
    state text NOT NULL,
    assignee text,
    crew json NOT NULL,
    begun_agent text,
    owner text,
    link text,
    members json NOT NULL,
    unmailed_since bigint,
    last_seq bigint NOT NULL,
    detail json NOT NULL
);

INSERT INTO conversations
SELECT
    id, service, channel, contact, state, assignee, crew, begun_agent, owner, link, members, unmailed_since, last_seq,
    json_build_object(
        'channel_class', channel_class, 'address', address, 'begun_service', begun_service, 'name', name,
        'description', description, 'assigned_at', assigned_at, 'joined', joined, 'queued', queued,
        'age_since', age_since, 'need', need, 'routed', routed, 'offered_at', offered_at, 'preview', preview,
        'priority', priority, 'skills', skills, 'tags', tags, 'paused', paused, 'waiting_since', waiting_since,
        'lateness', lateness, 'steps_fired', steps_fired, 'ended_wait', ended_wait, 'managers_added', managers_added,
        'reply_due', reply_due, 'snoozed_until', snoozed_until, 'snoozed_by', snoozed_by, 'created_at', created_at,
        'stirred_at', stirred_at, 'last_contact_message_at', last_contact_message_at,
        'last_agent_message_at', last_agent_message_at, 'closed_at', closed_at, 'moved_to', moved_to,
        'created_by', created_by, 'read_only', read_only, 'by_link', by_link, 'picture', picture,
        'messages', messages, 'answered', answered, 'read', read
    )
FROM conversations_before;

DROP TABLE conversations_before;
ALTER TABLE conversations ADD PRIMARY KEY (id);

-- as in 0001, 0004 and 0005
CREATE INDEX conversations_live ON conversations (id) WHERE state IN ('open', 'snoozed');
CREATE INDEX conversations_closed_of ON conversations (contact, channel, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_of_all ON conversations (contact, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_in ON conversations (service, last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed ON conversations (last_seq, id) WHERE state = 'closed';
CREATE INDEX conversations_closed_by ON conversations (service, channel, owner) WHERE state = 'closed';
CREATE INDEX conversations_link ON conversations (link) WHERE link IS NOT NULL;
CREATE INDEX conversations_unmailed ON conversations (id) WHERE state = 'closed' AND unmailed_since IS NOT NULL;

-- as in 0005 and 0007
CREATE TRIGGER conversations_closed_added AFTER INSERT ON conversations
FOR EACH ROW WHEN (NEW.state = 'closed') EXECUTE FUNCTION keep_closed_crews();
CREATE TRIGGER conversations_closed_changed AFTER UPDATE ON conversations
FOR EACH ROW WHEN (OLD.state = 'closed' OR NEW.state = 'closed') EXECUTE FUNCTION keep_closed_crews();
CREATE TRIGGER conversations_closed_deleted AFTER DELETE ON conversations
FOR EACH ROW WHEN (OLD.state = 'closed') EXECUTE FUNCTION keep_closed_crews();
CREATE TRIGGER conversations_left_added AFTER INSERT ON conversations
FOR EACH ROW WHEN (NEW.state = 'closed' AND NEW.members::text <> '[]') EXECUTE FUNCTION keep_closed_members();
CREATE TRIGGER conversations_left_changed AFTER UPDATE ON conversations
FOR EACH ROW WHEN ((OLD.state = 'closed' OR NEW.state = 'closed')
    AND (OLD.members::text <> '[]' OR NEW.members::text <> '[]')) EXECUTE FUNCTION keep_closed_members();
CREATE TRIGGER conversations_left_deleted AFTER DELETE ON conversations
FOR EACH ROW WHEN (OLD.state = 'closed' AND OLD.members::text <> '[]') EXECUTE FUNCTION keep_closed_members();

-- as in 0001
CREATE VIEW conversations_readable AS
SELECT
    id, service, channel, contact, detail ->> 'name' AS name, state, assignee, crew,
    coalesce((detail ->> 'queued')::boolean, false) AS queued,
    coalesce((detail ->> 'priority')::bigint, 0) AS priority,
    coalesce(detail -> 'skills', '[]') AS skills,
    coalesce(detail -> 'tags', '[]') AS tags,
    detail ->> 'lateness' AS lateness,
    to_timestamp((detail ->> 'created_at')::bigint / 1000.0) AS created_at,
    to_timestamp((detail ->> 'assigned_at')::bigint / 1000.0) AS assigned_at,
    to_timestamp((detail ->> 'waiting_since')::bigint / 1000.0) AS waiting_since,
    to_timestamp((detail ->> 'snoozed_until')::bigint / 1000.0) AS snoozed_until,
    to_timestamp((detail ->> 'last_contact_message_at')::bigint / 1000.0) AS last_contact_message_at,
    to_timestamp((detail ->> 'last_agent_message_at')::bigint / 1000.0) AS last_agent_message_at,
    to_timestamp((detail ->> 'closed_at')::bigint / 1000.0) AS closed_at,
    last_seq
FROM conversations;
