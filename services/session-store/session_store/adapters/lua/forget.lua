-- Take a session out of the owner's index, unless it was active after until_us: then another has begun under its id.
-- KEYS: index, counts. ARGV: session_id, until_us.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) <= tonumber(ARGV[2]) then
  redis.call('ZREM', KEYS[1], ARGV[1])
end
local stamp, count = string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '', '^(%d+) (%d+)$')
if stamp and tonumber(stamp) <= tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('HINCRBY', KEYS[2], '/total', -tonumber(count))
end
return 1
