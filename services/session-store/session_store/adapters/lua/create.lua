-- Begin an empty session; one that exists is left as it is.
-- KEYS: meta. ARGV: now_us, ttl_ms, title.
if redis.call('HSETNX', KEYS[1], 'created_us', ARGV[1]) == 0 then
  return 0
end
redis.call('HSET', KEYS[1], 'active_us', ARGV[1], 'messages', 0, 'dialogs', 0, 'appended', 0, 'title', ARGV[3])
if ARGV[2] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
