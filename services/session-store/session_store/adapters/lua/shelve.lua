-- Put notes on one shelf of a session, if there is such a session; they live as long as it does.
-- ARGV: number of the shelf's key, then field, note, … Answers how many notes are on it now, or nothing.
if redis.call('EXISTS', meta) == 0 then
  return false
end
local shelf = KEYS[tonumber(ARGV[1])]
for index = 2, #ARGV, 200 do
  redis.call('HSET', shelf, unpack(ARGV, index, math.min(index + 199, #ARGV)))
end
local left = redis.call('PTTL', meta)
if left > 0 then
  redis.call('PEXPIRE', shelf, left)
end
return redis.call('HLEN', shelf)
