-- How many mails a sender may send on a UTC day: its daily limit, or what its ramp-up has come to by the days on which it has sent. The planner's figure and
-- the mark's are this one. Two functions, because the first can be put in line where it is called, and the other is called for senders that ramp up only.
CREATE OR REPLACE FUNCTION ramp_limit(s senders, the_day date) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT least(s.daily_limit, s.ramp_ceiling, s.ramp_start + s.ramp_step::bigint * (
        SELECT count(*) FROM sender_days u WHERE u.sender_id = s.id AND u.day >= s.ramp_from AND u.day < the_day AND u.used > u.answers))::integer
$$;
CREATE OR REPLACE FUNCTION day_limit(s senders, the_day date) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN s.ramp_from IS NULL THEN s.daily_limit ELSE ramp_limit(s, the_day) END
$$;
