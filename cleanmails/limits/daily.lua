-- How many mails each sender has reserved on one UTC day. A call is atomic for all of its senders.
--
-- KEYS[1]  cm:day:<yyyymmdd>, a hash that lives for 48 hours after figures of the ledger last came in:
--            epoch        <run id of the server>:<microseconds>, new whenever figures of the ledger come in
--            <sender id>  mails reserved, never below 0; no field means unknown, not 0
-- ARGV     verb, epoch (of release), and for each sender: id, figure, limit (of reserve)
-- Answer   {epoch or nil, {a value for each sender}}; the value is a count, nil or what was granted

local key, verb, presented = KEYS[1], ARGV[1], ARGV[2]

-- A server that was restarted, or a replica that took over, may have read from disk less than was granted: its counts are unknown.
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local epoch = redis.call('HGET', key, 'epoch')
if epoch and string.sub(epoch, 1, #run) ~= run then
  redis.call('DEL', key)
  epoch = false
end

local function write(id, figure)
  local time = redis.call('TIME')
  epoch = run .. ':' .. time[1] .. time[2]
  redis.call('HSET', key, 'epoch', epoch, id, figure)
  redis.call('EXPIRE', key, 172800)
  return figure
end

local verbs = {}

function verbs.used(_, count)
  return count
end

function verbs.reserve(id, count, wanted, limit)
  local granted = count and math.max(0, math.min(wanted, limit - count)) or 0
  if granted > 0 then
    redis.call('HINCRBY', key, id, granted)
  end
  return granted
end

-- What was reserved in an older epoch is in the present figures only if the ledger knew of it: nobody can tell, so nothing is given back.
function verbs.release(id, count, figure)
  if not count or epoch ~= presented then
    return count
  end
  return redis.call('HINCRBY', key, id, -math.min(figure, count))
end

function verbs.rebuild(id, count, figure)
  return count or write(id, figure)
end

function verbs.replace(id, _, figure)
  return write(id, figure)
end

local values = {}
for i = 3, #ARGV, 3 do
  local count = tonumber(redis.call('HGET', key, ARGV[i])) or false
  values[#values + 1] = verbs[verb](ARGV[i], count, tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]))
end
return {epoch, values}
