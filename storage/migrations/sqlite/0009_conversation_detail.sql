-- A conversation's row has a column for what queries ask for; the rest of it, which is most, stands in detail, as JSON:
-- a row of 51 columns cost a tenth to a sixth more at every message. What is not in detail has its default.
DROP VIEW conversations_readable;
ALTER TABLE conversations RENAME TO conversations_before;

CREATE TABLE conversations (
    id TEXT PRIMARY KEY NOT NULL,
    service TEXT,
    channel TEXT,
    contact TEXT,
    state TEXT NOT NULL,
    assignee TEXT,
    crew TEXT NOT NULL,
    begun_agent TEXT,
    owner TEXT,
    link TEXT,
    members TEXT NOT NULL,
    unmailed_since INTEGER,
    last_seq INTEGER NOT NULL,
    detail TEXT NOT NULL
);

INSERT INTO conversations
SELECT
    id, service, channel, contact, state, assignee, crew, begun_agent, owner, link, members, unmailed_since, last_seq,
    json_object(
        'channel_class', channel_class, 'address', address, 'begun_service', begun_service, 'name', name,
        'description', description, 'assigned_at', assigned_at, 'joined', json(joined),
        'queued', json(iif(queued, 'true', 'false')), 'age_since', age_since, 'need', need,
        'routed', json(iif(routed, 'true', 'false')), 'offered_at', offered_at, 'preview', preview,
        'priority', priority, 'skills', json(skills), 'tags', json(tags), 'paused', json(paused),
        'waiting_since', waiting_since, 'lateness', lateness, 'steps_fired', json(steps_fired),
        'ended_wait', json(ended_wait), 'managers_added', json(iif(managers_added, 'true', 'false')),
        'reply_due', reply_due, 'snoozed_until', snoozed_until, 'snoozed_by', snoozed_by, 'created_at', created_at,
        'stirred_at', stirred_at, 'last_contact_message_at', last_contact_message_at,
        'last_agent_message_at', last_agent_message_at, 'closed_at', closed_at, 'moved_to', moved_to,
        'created_by', created_by, 'read_only', json(iif(read_only, 'true', 'false')),
        'by_link', json(iif(by_link, 'true', 'false')), 'picture', picture, 'messages', messages,
        'answered', answered, 'read', json(read)
    )
FROM conversations_before;

DROP TABLE conversations_before;

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
CREATE TRIGGER conversations_closed_added AFTER INSERT ON conversations WHEN NEW.state = 'closed'
BEGIN
    INSERT INTO closed_crews
    SELECT DISTINCT value, NEW.last_seq, NEW.id, NEW.service, NEW.channel, NEW.owner FROM json_each(NEW.crew);
END;

CREATE TRIGGER conversations_closed_changed AFTER UPDATE ON conversations
WHEN OLD.state = 'closed' OR NEW.state = 'closed'
BEGIN
    DELETE FROM closed_crews WHERE agent IN (SELECT value FROM json_each(OLD.crew))
        AND last_seq = OLD.last_seq AND conversation = OLD.id;
    INSERT INTO closed_crews
    SELECT DISTINCT value, NEW.last_seq, NEW.id, NEW.service, NEW.channel, NEW.owner FROM json_each(NEW.crew)
    WHERE NEW.state = 'closed';
END;

CREATE TRIGGER conversations_closed_deleted AFTER DELETE ON conversations WHEN OLD.state = 'closed'
BEGIN
    DELETE FROM closed_crews WHERE agent IN (SELECT value FROM json_each(OLD.crew))
        AND last_seq = OLD.last_seq AND conversation = OLD.id;
END;

CREATE TRIGGER conversations_left_added AFTER INSERT ON conversations
WHEN NEW.state = 'closed' AND NEW.members != '[]'
BEGIN
    INSERT INTO closed_members SELECT DISTINCT value, NEW.last_seq, NEW.id FROM json_each(NEW.members);
END;

CREATE TRIGGER conversations_left_changed AFTER UPDATE ON conversations
WHEN (OLD.state = 'closed' OR NEW.state = 'closed') AND (OLD.members != '[]' OR NEW.members != '[]')
BEGIN
    DELETE FROM closed_members WHERE contact IN (SELECT value FROM json_each(OLD.members))
        AND last_seq = OLD.last_seq AND conversation = OLD.id;
    INSERT INTO closed_members
    SELECT DISTINCT value, NEW.last_seq, NEW.id FROM json_each(NEW.members) WHERE NEW.state = 'closed';
END;

CREATE TRIGGER conversations_left_deleted AFTER DELETE ON conversations
WHEN OLD.state = 'closed' AND OLD.members != '[]'
BEGIN
    DELETE FROM closed_members WHERE contact IN (SELECT value FROM json_each(OLD.members))
        AND last_seq = OLD.last_seq AND conversation = OLD.id;
END;

-- as in 0001
CREATE VIEW conversations_readable AS
SELECT
    id, service, channel, contact, json_extract(detail, '$.name') AS name, state, assignee, crew,
    coalesce(json_extract(detail, '$.queued'), 0) AS queued,
    coalesce(json_extract(detail, '$.priority'), 0) AS priority,
    coalesce(json_extract(detail, '$.skills'), '[]') AS skills,
    coalesce(json_extract(detail, '$.tags'), '[]') AS tags,
    json_extract(detail, '$.lateness') AS lateness,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.created_at') / 1000.0, 'unixepoch') AS created_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.assigned_at') / 1000.0, 'unixepoch') AS assigned_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.waiting_since') / 1000.0, 'unixepoch') AS waiting_since,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.snoozed_until') / 1000.0, 'unixepoch') AS snoozed_until,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.last_contact_message_at') / 1000.0, 'unixepoch') AS last_contact_message_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.last_agent_message_at') / 1000.0, 'unixepoch') AS last_agent_message_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(detail, '$.closed_at') / 1000.0, 'unixepoch') AS closed_at,
    last_seq
FROM conversations;
