-- ARGV: title. Answers 1, or 0 when there is no such session.
if redis.call('EXISTS', meta) == 0 then
  return 0
end
redis.call('HSET', meta, 'title', ARGV[1])
return 1
