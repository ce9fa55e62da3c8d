-- Forget the messages, what was learnt from them and the title taken from them; turn ids stay, so that a late repeat is
-- still known as one. ARGV: now_us, ttl_ms. Answers active_us, or nothing when there is no such session.
if redis.call('EXISTS', meta) == 0 then
  return false
end
local stamp = touched(ARGV[1])
redis.call('HSET', meta, 'messages', 0, 'dialogs', 0)
for _, field in ipairs(redis.call('HKEYS', meta)) do
  if string.sub(field, 1, 2) == 'b:' or string.sub(field, 1, 5) == 'undo:' then
    redis.call('HDEL', meta, field)
  end
end
redis.call('HDEL', meta, 'auto_title', 'head', 'instructions', 'fixed_from', 'fixed_count')
redis.call('DEL', log, pending, unpack(KEYS, 6))
kept_for(ARGV[2])
return stamp
