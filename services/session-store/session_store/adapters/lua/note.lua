-- Tell the owner's index how a session stands. What is older than the index knows is ignored, so that telling twice, or
-- in the wrong order, does no harm.
-- KEYS: index, counts. ARGV: session_id, active_us, count.
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local stamp, count = string.match(redis.call('HGET', KEYS[2], ARGV[1]) or '0 0', '^(%d+) (%d+)$')
if tonumber(ARGV[2]) < tonumber(stamp) then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('HINCRBY', KEYS[2], '/total', tonumber(ARGV[3]) - tonumber(count))
return 1
