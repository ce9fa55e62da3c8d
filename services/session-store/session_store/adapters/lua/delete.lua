-- Remove a session, if it has been idle since until_us and nobody holds a turn of it. ARGV: until_us, now_us.
-- Answers {'removed' | 'missing' | 'active' | 'held', active_us, messages of the head, then how many it has of messages, branches,
-- turns, locks, facts, relations, summaries}.
local state = redis.call('HMGET', meta, 'active_us', 'messages')
if not state[1] then
  redis.call('DEL', unpack(KEYS))
  return {'missing', 0, 0}
end
local active, count = tonumber(state[1]), tonumber(state[2] or '0')
if active > tonumber(ARGV[1]) then
  return {'active', active, count}
end
local branches, locks = 0, redis.call('HLEN', waiting)
for _, field in ipairs(redis.call('HKEYS', meta)) do
  branches = branches + (string.sub(field, 1, 2) == 'b:' and 1 or 0)
end
for _, name in ipairs(held_branches()) do
  locks = locks + 1
  if held_on(name).lease > tonumber(ARGV[2]) then
    return {'held', active, count}
  end
end
local told = {
  'removed', active, count, redis.call('LLEN', log), math.max(branches, 1), redis.call('HLEN', known), locks,
  redis.call('HLEN', KEYS[6]), redis.call('HLEN', KEYS[7]), redis.call('HLEN', KEYS[8]),
}
redis.call('DEL', unpack(KEYS))
return told
