-- Messages that an earlier answer had no room for. ARGV: created_us and base of the session it told of, ranges, messages
-- read already. Answers some of those that follow, or nothing when that session is gone or was cleared.
if redis.call('HGET', meta, 'created_us') ~= ARGV[1] or base() ~= tonumber(ARGV[2]) then
  return false
end
return next_of(ranges_from(ARGV[3]), tonumber(ARGV[4]))
