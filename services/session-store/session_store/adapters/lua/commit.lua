-- Put an exchange into the place of the turn that is under way, once.
-- ARGV: turn, token, branch, now_us, ttl_ms, turns remembered, auto_title, dialogs, untold, fixed_from, fixed_count,
-- d (done) or i (interrupted), message...
-- Answers {'stored' | 'repeated', active_us, messages of the head, messages of the branch right after this turn, position
-- of the turn's first message, memory, created_us, message... (of a repeated turn, as they are stored)}, {'missing'} or
-- {'lost'}.
local turn, name = ARGV[1], ARGV[3]
local active = redis.call('HGET', meta, 'active_us')
if not active then
  return {'missing'}
end
local function told_of(how, stamp, messages, first)
  local kept = redis.call('HMGET', meta, 'messages', 'memory', 'created_us')
  return {how, tonumber(stamp), tonumber(kept[1]), messages, first, kept[2] or '', tonumber(kept[3])}
end
local seen = redis.call('HGET', known, turn)
if seen then
  local first, behind, count, told = string.match(seen, '^(%d+) (%d+) (%d+) (%a)')
  -- A turn taken up again may have been put back, cut short as it was before: an answer that comes now is not that one.
  if told == 'u' or (told == 'i' and ARGV[12] == 'd') then
    return {'lost'}
  end
  -- What was cleared is gone, though the turn is remembered.
  local start = base()
  if tonumber(first) < start then
    return told_of('repeated', active, 0, tonumber(first))
  end
  local answer = told_of('repeated', active, tonumber(count), tonumber(first))
  for _, message in ipairs(redis.call('LRANGE', log, first - start, behind - 1 - start)) do
    table.insert(answer, message)
  end
  return answer
end
local held = held_on(name)
if not held or held.turn ~= turn or held.token ~= ARGV[2] then
  return {'lost'}
end

active = touched(ARGV[4])
if ARGV[7] ~= '' then
  redis.call('HSETNX', meta, 'auto_title', ARGV[7])
end
local branch, messages = branch_of(name), {}
local before = branch_as_text(branch)
for index = 13, #ARGV do
  table.insert(messages, ARGV[index])
end
local first = append(branch, messages)
branch.dialogs = branch.dialogs + tonumber(ARGV[8])
branch.untold = branch.untold + tonumber(ARGV[9])
if ARGV[11] ~= '0' then
  branch.fixed_from, branch.fixed_count = first + tonumber(ARGV[10]), tonumber(ARGV[11])
end
save(name, branch)
learn(turn, first, branch, ARGV[12], held.digest, name, tonumber(ARGV[6]))
if ARGV[12] == 'i' and held.digest ~= '-' then
  redis.call('HSET', meta, 'undo:' .. name, turn .. ' ' .. before)
else
  redis.call('HDEL', meta, 'undo:' .. name)
end
let_go(name, held)
kept_for(ARGV[5])
return told_of('stored', active, branch.messages, first)
