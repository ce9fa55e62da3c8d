-- Forget the messages and the title taken from them; turn ids stay, so that a late repeat is still known as one.
-- KEYS: meta, messages, turns. ARGV: now_us, ttl_ms. Answers active_us, or nothing when there is no such session.
local active = redis.call('HGET', KEYS[1], 'active_us')
if not active then
  return false
end
local stamp = math.max(tonumber(ARGV[1]), tonumber(active) + 1)
redis.call('HSET', KEYS[1], 'active_us', string.format('%.0f', stamp), 'messages', 0, 'dialogs', 0)
redis.call('HDEL', KEYS[1], 'auto_title', 'instructions', 'fixed_from', 'fixed_count')
redis.call('DEL', KEYS[2])
for _, key in ipairs(KEYS) do
  if ARGV[2] == '0' then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, ARGV[2])
  end
end
return stamp
