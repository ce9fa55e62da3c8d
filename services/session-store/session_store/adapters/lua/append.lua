-- Add a turn's messages behind the others, once for each turn id, with one expiry for all keys of the session.
-- KEYS: meta, messages, turns. ARGV: turn_id, now_us, ttl_ms, remembered turns, auto_title, dialogs, instructions,
-- fixed_from, fixed_count, message...
-- Answers {repeated, active_us, count now, count right after this turn}.
local meta, messages, turns = KEYS[1], KEYS[2], KEYS[3]
local active = tonumber(redis.call('HGET', meta, 'active_us') or '0')

-- A turn's score is how many messages the session had ever taken after it: it goes on growing through a clear.
local seen = redis.call('ZSCORE', turns, ARGV[1])
if seen then
  local count = redis.call('LLEN', messages)
  local gone = tonumber(redis.call('HGET', meta, 'appended') or '0') - count
  return {1, active, count, math.max(0, tonumber(seen) - gone)}
end

-- The first write is one that a full or failing Redis refuses, so that nothing is half written.
local stamp = math.max(tonumber(ARGV[2]), active + 1)
redis.call('HSET', meta, 'active_us', string.format('%.0f', stamp))
redis.call('HSETNX', meta, 'created_us', ARGV[2])
if ARGV[5] ~= '' then
  redis.call('HSETNX', meta, 'auto_title', ARGV[5])
end
local count = 0
for first = 10, #ARGV, 500 do
  count = redis.call('RPUSH', messages, unpack(ARGV, first, math.min(first + 499, #ARGV)))
end
local appended = redis.call('HINCRBY', meta, 'appended', #ARGV - 9)
redis.call('HINCRBY', meta, 'dialogs', ARGV[6])
redis.call('HINCRBY', meta, 'instructions', ARGV[7])
redis.call('HSET', meta, 'messages', count)
if ARGV[9] ~= '0' then
  redis.call('HSET', meta, 'fixed_from', appended - (#ARGV - 9) + tonumber(ARGV[8]), 'fixed_count', ARGV[9])
end
redis.call('ZADD', turns, appended, ARGV[1])
redis.call('ZREMRANGEBYRANK', turns, 0, -1 - tonumber(ARGV[4]))
for _, key in ipairs(KEYS) do
  if ARGV[3] == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, ARGV[3])
  end
end
return {0, stamp, count, count}
