-- Store a session as a whole, unless there is one.
-- ARGV: ttl_ms, nonce of the call, number of fields, field, value..., message...
-- Answers 1, or 0 when there is one. A call whose answer was lost comes again, and is told the same.
if redis.call('EXISTS', meta) == 1 then
  return redis.call('HGET', meta, 'put_by') == ARGV[2] and 1 or 0
end
local fields = tonumber(ARGV[3])
redis.call('HSET', meta, 'put_by', ARGV[2])
for index = 4, 3 + 2 * fields, 2 do
  redis.call('HSET', meta, ARGV[index], ARGV[index + 1])
end
for first = 4 + 2 * fields, #ARGV, 500 do
  redis.call('RPUSH', log, unpack(ARGV, first, math.min(first + 499, #ARGV)))
end
kept_for(ARGV[1])
return 1
