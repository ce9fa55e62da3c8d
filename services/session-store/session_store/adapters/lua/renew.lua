-- Hold a turn longer. ARGV: turn, token, branch, lease until us, ttl_ms. Answers 'renewed', 'missing' or 'lost'.
if redis.call('EXISTS', meta) == 0 then
  return 'missing'
end
local held = held_on(ARGV[3])
if not held or held.turn ~= ARGV[1] or held.token ~= ARGV[2] then
  return 'lost'
end
redis.call('HSET', pending, ARGV[3] .. '/lease', ARGV[4])
kept_for(ARGV[5])
return 'renewed'
