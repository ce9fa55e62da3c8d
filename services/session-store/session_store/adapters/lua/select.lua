-- Make a branch the head. ARGV: name, now_us, ttl_ms.
-- Answers {'selected', active_us, messages of the head}, {'missing'} or {'no_branch'}.
if redis.call('EXISTS', meta) == 0 then
  return {'missing'}
end
local branch = branch_of(ARGV[1])
if not branch then
  return {'no_branch'}
end
local active = touched(ARGV[2])
redis.call('HSET', meta, 'head', ARGV[1])
save(ARGV[1], branch)
kept_for(ARGV[3])
return {'selected', active, branch.messages}
