-- Whose tokens of before a moment are accepted no more; until now one row of request_keys held them all. When the
-- tokens end that were revoked so far is not known, so these stay.
CREATE TABLE revocations (
    address text COLLATE "C" PRIMARY KEY,
    revoked_before bigint NOT NULL,
    expires_at bigint
);

CREATE INDEX revocations_expiry ON revocations (expires_at);

INSERT INTO revocations
SELECT moment.key, moment.value::bigint, NULL
FROM request_keys AS k CROSS JOIN LATERAL json_each_text(convert_from(k.answer, 'UTF8')::json) AS moment
WHERE k.owner = 'house' AND k.key = 'revocations';

DELETE FROM request_keys WHERE owner = 'house' AND key = 'revocations';
