-- Remove a session, if it has been idle since until_us.
-- KEYS: meta, messages, turns. ARGV: until_us. Answers {'removed' | 'missing' | 'active', active_us, count}.
local state = redis.call('HMGET', KEYS[1], 'active_us', 'messages')
if not state[1] then
  redis.call('DEL', unpack(KEYS))
  return {'missing', 0, 0}
end
local told = {'removed', tonumber(state[1]), tonumber(state[2] or '0')}
if told[2] > tonumber(ARGV[1]) then
  told[1] = 'active'
  return told
end
redis.call('DEL', unpack(KEYS))
return told
