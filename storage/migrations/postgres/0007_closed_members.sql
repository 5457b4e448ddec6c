-- Who outside was let into a conversation that is closed, beside its contact. Kept by the triggers, as closed_crews is.
CREATE TABLE closed_members (
    contact text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    PRIMARY KEY (contact, last_seq, conversation)
);

INSERT INTO closed_members
SELECT DISTINCT member.value, last_seq, id
FROM conversations CROSS JOIN LATERAL json_array_elements_text(members) AS member WHERE state = 'closed';

CREATE FUNCTION keep_closed_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM closed_members WHERE contact IN (SELECT value FROM json_array_elements_text(OLD.members))
            AND last_seq = OLD.last_seq AND conversation = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO closed_members
        SELECT DISTINCT value, NEW.last_seq, NEW.id FROM json_array_elements_text(NEW.members)
        WHERE NEW.state = 'closed';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER conversations_left_added AFTER INSERT ON conversations
FOR EACH ROW WHEN (NEW.state = 'closed' AND NEW.members::text <> '[]') EXECUTE FUNCTION keep_closed_members();
CREATE TRIGGER conversations_left_changed AFTER UPDATE ON conversations
FOR EACH ROW WHEN ((OLD.state = 'closed' OR NEW.state = 'closed')
    AND (OLD.members::text <> '[]' OR NEW.members::text <> '[]')) EXECUTE FUNCTION keep_closed_members();
CREATE TRIGGER conversations_left_deleted AFTER DELETE ON conversations
FOR EACH ROW WHEN (OLD.state = 'closed' AND OLD.members::text <> '[]') EXECUTE FUNCTION keep_closed_members();
