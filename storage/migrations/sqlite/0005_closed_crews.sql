-- How many conversations are closed, by what lists are made of.
CREATE INDEX conversations_closed_by ON conversations (service, channel, owner) WHERE state = 'closed';

-- Who was in the crew of a conversation when it was closed. Kept by the triggers: it says nothing that conversations
-- does not say, but has an index.
CREATE TABLE closed_crews (
    agent TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    service TEXT,
    channel TEXT,
    owner TEXT,
    PRIMARY KEY (agent, last_seq, conversation)
) WITHOUT ROWID;

INSERT INTO closed_crews
SELECT DISTINCT member.value, last_seq, conversations.id, service, channel, owner
FROM conversations, json_each(crew) AS member WHERE state = 'closed';

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
