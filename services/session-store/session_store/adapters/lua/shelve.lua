-- Put notes on one shelf of a session, if there is such a session; they live as long as it does. What was said before it
-- was cleared is left out.
-- ARGV: number of the shelf's key, created_us or nothing for whichever session there is, then field, note, …
-- Answers how many notes are on it now, or nothing.
local created = redis.call('HGET', meta, 'created_us')
if not created or (ARGV[2] ~= '' and ARGV[2] ~= created) then
  return false
end
local shelf, start = KEYS[tonumber(ARGV[1])], base()
for index = 3, #ARGV, 2 do
  local position = tonumber(string.match(ARGV[index], '@(%d+)$') or start)
  if position >= start then
    redis.call('HSET', shelf, ARGV[index], ARGV[index + 1])
  end
end
kept_as_long(shelf)
return redis.call('HLEN', shelf)
