-- Which steps of ladders have fired in this wait: [{"service": …, "step": {…}}], instead of how many.
-- How many were the first of the ladder as it stands, which is nearly always written in order of time.
ALTER TABLE conversations ADD COLUMN steps_fired TEXT NOT NULL DEFAULT '[]';
UPDATE conversations SET steps_fired = (
    SELECT json_group_array(json_object('service', services.id, 'step', json_set(step.value, '$.after', '0s')))
    FROM services, json_each(services.settings, '$.escalation') AS step
    WHERE services.id = conversations.service AND step.key < conversations.ladder_fired
) WHERE ladder_fired > 0;
ALTER TABLE conversations DROP COLUMN ladder_fired;
