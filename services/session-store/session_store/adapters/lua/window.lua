-- The newest messages of a session, and the instructions in force wherever they stand, as they are at one moment.
-- KEYS: meta, messages. ARGV: newest. Answers {total, instructions, fixed, tail}.
local total = redis.call('LLEN', KEYS[2])
local state = redis.call('HMGET', KEYS[1], 'appended', 'fixed_from', 'fixed_count', 'instructions')
local fixed = {}
if state[3] then
  -- Positions count every message the session ever took; those before a clear are gone from the list.
  local first = tonumber(state[2]) - (tonumber(state[1]) - total)
  fixed = redis.call('LRANGE', KEYS[2], first, first + tonumber(state[3]) - 1)
end
return {total, tonumber(state[4] or '0'), fixed, redis.call('LRANGE', KEYS[2], -tonumber(ARGV[1]), -1)}
