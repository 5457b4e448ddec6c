-- Which steps of ladders have fired in this wait: [{"service": …, "step": {…}}], instead of how many.
-- How many were the first of the ladder as it stands, which is nearly always written in order of time.
ALTER TABLE conversations ADD COLUMN steps_fired json NOT NULL DEFAULT '[]';
UPDATE conversations SET steps_fired = coalesce((
    SELECT json_agg(json_build_object('service', services.id, 'step', jsonb_set(step.value::jsonb, '{after}', '"0s"'))
                    ORDER BY step.number)
    FROM services, json_array_elements(services.settings -> 'escalation') WITH ORDINALITY AS step (value, number)
    WHERE services.id = conversations.service AND step.number <= conversations.ladder_fired
), '[]') WHERE ladder_fired > 0;
ALTER TABLE conversations DROP COLUMN ladder_fired;
