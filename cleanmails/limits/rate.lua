-- When the next mail may go to a provider: GCRA (ITU-T I.371, annex A, virtual scheduling) by the clock of this server, in microseconds.
-- A slot is taken when it is used, never ahead: so a flush, a restart or a step of the clock leaves no promised slots behind to overlap with.
--
-- KEYS[1]  cm:rate:<name>  when the next slot is due (I.371: the theoretical arrival time); expires when it is past
-- KEYS[2]  cm:rate-since   <run id of the server>:<microseconds>, since when this server has seen every slot that was taken
-- ARGV     interval between two slots, tolerance: how long before it is due a slot may be taken, how many are wanted at once
-- Answer   how long until a slot is free; or 0: one was taken, -1: two were, and so on

local interval, tolerance, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local after_a_slot = now + interval + tolerance

-- What happened before a flush or a restart is unknown: a slot may have been taken just then.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local since = tonumber(string.match(redis.call('GET', KEYS[2]) or '', run .. ':(%d+)'))
if not since or since > now then
  since = now
  redis.call('SET', KEYS[2], string.format('%s:%.0f', run, now))
end

local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), since + interval + tolerance)
if due > after_a_slot then -- the clock was set back (or the rate up): wait for an interval, not until the old time comes round again
  due = after_a_slot
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
end

local wait = due - tolerance - now
if wait > 0 then
  return wait
end
local taken = math.min(wanted, 1 + math.floor((now + tolerance - math.max(due, now)) / interval))
due = math.max(due, now) + taken * interval
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return 1 - taken
