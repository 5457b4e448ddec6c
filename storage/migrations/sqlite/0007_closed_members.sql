-- Who outside was let into a conversation that is closed, beside its contact. Kept by the triggers, as closed_crews is.
CREATE TABLE closed_members (
    contact TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    conversation TEXT NOT NULL,
    PRIMARY KEY (contact, last_seq, conversation)
) WITHOUT ROWID;

INSERT INTO closed_members
SELECT DISTINCT member.value, last_seq, conversations.id
FROM conversations, json_each(members) AS member WHERE state = 'closed';

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
