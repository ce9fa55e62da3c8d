-- Begin an empty session; one that exists is left as it is.
-- ARGV: now_us, ttl_ms, title, memory or nothing, nonce of the call.
-- Answers 1, or 0 when there is one. A call whose answer was lost comes again, and is told the same.
if redis.call('HSETNX', meta, 'created_us', ARGV[1]) == 0 then
  return redis.call('HGET', meta, 'put_by') == ARGV[5] and 1 or 0
end
redis.call('HSET', meta, 'put_by', ARGV[5])
redis.call('HSET', meta, 'active_us', ARGV[1], 'messages', 0, 'dialogs', 0, 'appended', 0, 'title', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', meta, 'memory', ARGV[4])
end
kept_for(ARGV[2])
return 1
