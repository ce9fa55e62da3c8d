-- Make a branch of what the log holds.
-- ARGV: name or nothing for the next free one, how it stands, created_us and base of the session it was made from, branches
-- at most, now_us, ttl_ms, 1 to make it the head, nonce of the call.
-- Answers {'forked', name, active_us, messages of the head}, or why not. A call whose answer was lost comes again, and
-- is told the same.
local created = redis.call('HGET', meta, 'created_us')
if not created then
  return {'missing'}
end
if created ~= ARGV[3] or base() ~= tonumber(ARGV[4]) then
  return {'changed'}
end
local by, made = string.match(redis.call('HGET', meta, 'forked_by') or '', '^(%S+) (.*)$')
if by == ARGV[9] then
  local active, messages = unpack(redis.call('HMGET', meta, 'active_us', 'messages'))
  return {'forked', made, tonumber(active), tonumber(messages)}
end
local name, branches = ARGV[1], 0
for _, field in ipairs(redis.call('HKEYS', meta)) do
  branches = branches + (string.sub(field, 1, 2) == 'b:' and 1 or 0)
end
if branches >= tonumber(ARGV[5]) then
  return {'too_many'}
end
if name ~= '' and branch_of(name) then
  return {'exists'}
end
local active = touched(ARGV[6])
save('main', branch_of('main'))
if name == '' then
  repeat
    name = 'fork-' .. redis.call('HINCRBY', meta, 'forks', 1)
  until not branch_of(name)
end
if ARGV[8] == '1' then
  redis.call('HSET', meta, 'head', name)
end
save(name, branch_from(ARGV[2]))
redis.call('HSET', meta, 'forked_by', ARGV[9] .. ' ' .. name)
kept_for(ARGV[7])
return {'forked', name, active, tonumber(redis.call('HGET', meta, 'messages'))}
