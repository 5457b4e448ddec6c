-- How many conversations are closed, by what lists are made of.
CREATE INDEX conversations_closed_by ON conversations (service, channel, owner) WHERE state = 'closed';

-- Who was in the crew of a conversation when it was closed. Kept by the triggers: it says nothing that conversations
-- does not say, but has an index.
CREATE TABLE closed_crews (
    agent text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL,
    conversation text COLLATE "C" NOT NULL,
    service text COLLATE "C",
    channel text COLLATE "C",
    owner text,
    PRIMARY KEY (agent, last_seq, conversation)
);

INSERT INTO closed_crews
SELECT DISTINCT member.value, last_seq, id, service, channel, owner
FROM conversations CROSS JOIN LATERAL json_array_elements_text(crew) AS member WHERE state = 'closed';

CREATE FUNCTION keep_closed_crews() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM closed_crews WHERE agent IN (SELECT value FROM json_array_elements_text(OLD.crew))
            AND last_seq = OLD.last_seq AND conversation = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO closed_crews
        SELECT DISTINCT value, NEW.last_seq, NEW.id, NEW.service, NEW.channel, NEW.owner
        FROM json_array_elements_text(NEW.crew) WHERE NEW.state = 'closed';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER conversations_closed_added AFTER INSERT ON conversations
FOR EACH ROW WHEN (NEW.state = 'closed') EXECUTE FUNCTION keep_closed_crews();
CREATE TRIGGER conversations_closed_changed AFTER UPDATE ON conversations
FOR EACH ROW WHEN (OLD.state = 'closed' OR NEW.state = 'closed') EXECUTE FUNCTION keep_closed_crews();
CREATE TRIGGER conversations_closed_deleted AFTER DELETE ON conversations
FOR EACH ROW WHEN (OLD.state = 'closed') EXECUTE FUNCTION keep_closed_crews();
