-- The wait that was ended last, while the answers to it may still fail: {"since": …, "steps_fired": […], "answers": n}.
ALTER TABLE conversations ADD COLUMN ended_wait json;

-- Mails that have failed are listed by age.
DROP INDEX mails_failed;
CREATE INDEX mails_failed_at ON mails (created_at, id) WHERE status = 'failed';
