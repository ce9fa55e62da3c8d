-- Give a turn up, or a place in the line: nothing is kept of it, and nothing of a session or a branch that began with it.
-- ARGV: turn, its branch, its token or nothing, opener or nothing, branch of the place in line or nothing.
-- Answers {'abandoned' | 'removed' | 'not_open', active_us, messages of the head}; 'removed' when the session is gone.
if ARGV[5] ~= '' then
  redis.call('HDEL', waiting, ARGV[5] .. '/' .. ARGV[4])
end
local name = redis.call('HGET', pending, '/' .. ARGV[1])
local held = name and held_on(name)
local is_meant = held and ((name == ARGV[2] and held.token == ARGV[3]) or held.opener == ARGV[4])
if not is_meant then
  return {'not_open', 0, 0}
end
put_back(name, held)
let_go(name, held)
local state = redis.call('HMGET', meta, 'active_us', 'appended', 'title', 'messages')
local is_empty = (not state[2] or state[2] == '0') and (not state[3] or state[3] == '')
if held.began == '1' and is_empty and redis.call('HLEN', pending) == 0 then
  redis.call('DEL', unpack(KEYS))
  return {'removed', tonumber(state[1]), 0}
end
local branch = branch_of(name)
if held.forked == '1' and branch then
  local last = branch.ranges[#branch.ranges]
  local is_untouched = tostring(last and last[2] - 1 or '-') == tostring(branch.forked_at)
  if is_untouched and name ~= head_name() then
    redis.call('HDEL', meta, 'b:' .. name)
  end
end
return {'abandoned', tonumber(state[1]), tonumber(state[4])}
