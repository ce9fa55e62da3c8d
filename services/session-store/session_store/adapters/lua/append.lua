-- Add a turn's messages behind the head's others, once for each turn id.
-- ARGV: turn, now_us, ttl_ms, remembered turns, auto_title, dialogs, untold, fixed_from, fixed_count, message...
-- Answers {repeated, active_us, messages of the head, messages right after this turn}.
local seen = redis.call('HGET', known, ARGV[1])
if seen then
  local first, count = string.match(seen, '^(%d+) %d+ (%d+)')
  local state = redis.call('HMGET', meta, 'active_us', 'messages')
  return {1, tonumber(state[1]), tonumber(state[2]), tonumber(first) < base() and 0 or tonumber(count)}
end
local active = touched(ARGV[2])
redis.call('HSETNX', meta, 'created_us', ARGV[2])
if ARGV[5] ~= '' then
  redis.call('HSETNX', meta, 'auto_title', ARGV[5])
end
local name = head_name()
local branch, messages = branch_of(name), {}
for index = 10, #ARGV do
  table.insert(messages, ARGV[index])
end
local first = append(branch, messages)
branch.dialogs = branch.dialogs + tonumber(ARGV[6])
branch.untold = branch.untold + tonumber(ARGV[7])
if ARGV[9] ~= '0' then
  branch.fixed_from, branch.fixed_count = first + tonumber(ARGV[8]), tonumber(ARGV[9])
end
save(name, branch)
learn(ARGV[1], first, branch, 'd', '-', name, tonumber(ARGV[4]))
kept_for(ARGV[3])
return {0, active, branch.messages, branch.messages}
