-- Whose tokens of before a moment are accepted no more; until now one row of request_keys held them all. When the
-- tokens end that were revoked so far is not known, so these stay.
CREATE TABLE revocations (
    address TEXT PRIMARY KEY NOT NULL,
    revoked_before INTEGER NOT NULL,
    expires_at INTEGER
);

CREATE INDEX revocations_expiry ON revocations (expires_at);

INSERT INTO revocations
SELECT moment.key, moment.value, NULL FROM request_keys AS k, json_each(CAST(k.answer AS TEXT)) AS moment
WHERE k.owner = 'house' AND k.key = 'revocations';

DELETE FROM request_keys WHERE owner = 'house' AND key = 'revocations';
