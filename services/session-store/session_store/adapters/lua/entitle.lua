-- Give a session the title that was found for it, if it is the same session and has still the one it was found by.
-- ARGV: created_us, auto_title before, title. Answers 1, or 0 when it is another one by now.
local state = redis.call('HMGET', meta, 'created_us', 'auto_title')
if state[1] ~= ARGV[1] or (state[2] or '') ~= ARGV[2] then
  return 0
end
redis.call('HSET', meta, 'auto_title', ARGV[3])
return 1
