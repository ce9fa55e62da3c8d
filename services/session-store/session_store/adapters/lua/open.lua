-- Open a turn on a branch, or say why not; what its engine is to be told is read at the same moment.
-- ARGV: what to do on conflict, turn, digest or -, branch or nothing for the head, now_us, ttl_ms, lease_us, newest,
-- opener, until when a waiter that was not seen again counts, branches at most, turns remembered, turn_id, auto_title,
-- message... (as they are stored if nobody ever answers them)
-- Answers {'opened', branch, token, messages, untold, fixed, newest, ranges, memory, active_us, messages of the head},
-- {'busy', branch, turn_id, since_us, waiters ahead, whether the turn itself is under way}, {'answered', branch,
-- message...}, or why it cannot be.
local mode, turn, digest, now, opener = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[5]), ARGV[9]
local limit = tonumber(ARGV[12])
local exists = redis.call('HGET', meta, 'created_us')
local name = redis.call('HGET', pending, '/' .. turn)
  or (ARGV[4] ~= '' and ARGV[4]) or head_name()
local branch = branch_of(name)
if not branch or (not exists and name ~= 'main') then
  return {'no_branch', exists and 1 or 0}
end

local undo, undone
local seen = redis.call('HGET', known, turn)
if seen then
  local first, behind, _, told, by, where = string.match(seen, '^(%d+) (%d+) (%d+) (%a) (%S+) (%S+)$')
  if by ~= digest then
    return {'reused'}
  end
  local start = base()
  if tonumber(first) < start then
    return {'cleared'}
  end
  if told == 'd' then
    return {'answered', where, unpack(redis.call('LRANGE', log, first - start, behind - 1 - start))}
  end
  -- It was cut short, or never answered: it is taken back when nothing has followed it.
  local by_turn, before = string.match(redis.call('HGET', meta, 'undo:' .. where) or '', '^(%S+) (.*)$')
  -- Who held the branch after it and let its lease lapse may have been cut short once, and stands there again as it was.
  local last = held_on(where)
  local is_behind = last and last.turn ~= turn and last.lease <= now
    and redis.call('HEXISTS', pending, where .. '/undone') == 1
  if by_turn ~= turn or is_behind then
    return {'moved'}
  end
  undo, name = before, where
  branch = branch_of(name)
  undone = cmsgpack.pack({seen, by_turn .. ' ' .. before, branch_as_text(branch)})
end

-- Waiters of this branch: a ticket each, and when it was last seen. Who has gone without a word is forgotten, and so is the
-- opener's place on a branch that was the head when it came.
local ahead, mine = 0, nil
local function look_at_the_line()
  local all, others = redis.call('HGETALL', waiting), {}
  for index = 1, #all, 2 do
    local ticket, last = string.match(all[index + 1], '^(%d+) (%d+)$')
    if all[index] == name .. '/' .. opener then
      mine = tonumber(ticket)
    elseif tonumber(last) < tonumber(ARGV[10]) or string.sub(all[index], -#opener - 1) == '/' .. opener then
      redis.call('HDEL', waiting, all[index])
    elseif string.sub(all[index], 1, #name + 1) == name .. '/' then
      table.insert(others, tonumber(ticket))
    end
  end
  for _, ticket in ipairs(others) do
    if not mine or ticket < mine then
      ahead = ahead + 1
    end
  end
end

local function wait(held, same)
  if not mine then
    mine = redis.call('HINCRBY', meta, 'tickets', 1)
  end
  redis.call('HSET', waiting, name .. '/' .. opener, mine .. ' ' .. ARGV[5])
  kept_for(ARGV[6])
  return {'busy', name, held and held.id or '', tonumber(held and held.since or '0'), ahead, same}
end

local held = held_on(name)
local began, forked = '0', '0'
local is_under_way = held and held.lease > now
if held and held.turn == turn then
  if held.digest ~= digest then
    return {'reused'}
  elseif is_under_way and digest ~= '-' and held.opener ~= opener then
    look_at_the_line()
    return wait(held, 1)
  end
  began, forked = held.began, held.forked
  undone = redis.call('HGET', pending, name .. '/undone')
elseif is_under_way and mode == 'reject' then
  return {'busy', name, held.id, tonumber(held.since), 0, 0}
elseif is_under_way and mode == 'fork' then
  local fields, branches = redis.call('HKEYS', meta), 0
  for _, field in ipairs(fields) do
    branches = branches + (string.sub(field, 1, 2) == 'b:' and 1 or 0)
  end
  if branches >= tonumber(ARGV[11]) then
    return {'too_many'}
  end
  redis.call('HSET', meta, 'b:' .. name, branch_as_text(branch))
  if undo then
    branch = branch_from(undo)
    redis.call('HDEL', known, turn)
    undo, undone = nil, nil
  end
  local last = branch.ranges[#branch.ranges]
  branch.forked_at = last and last[2] - 1 or '-'
  repeat
    name = 'fork-' .. redis.call('HINCRBY', meta, 'forks', 1)
  until not branch_of(name)
  save(name, branch)
  held, forked = nil, '1'
elseif mode == 'queue' then
  look_at_the_line()
  if is_under_way or ahead > 0 then
    return wait(held, 0)
  end
end

if not exists then
  redis.call('HSET', meta, 'created_us', ARGV[5], 'messages', 0, 'dialogs', 0)
  began = '1'
end
local active = touched(now)
if undo then
  branch = branch_from(undo)
  save(name, branch)
  redis.call('HDEL', known, turn)
  redis.call('HDEL', meta, 'undo:' .. name)
end
if held then
  if held.turn ~= turn and put_back(name, held) then
    branch = branch_of(name)
  elseif held.turn ~= turn then
    -- Nobody answered it in time: what was asked stays, and is not told.
    local asked = cmsgpack.unpack(redis.call('HGET', pending, name .. '/asked'))
    local before = branch_as_text(branch)
    local title = table.remove(asked, 1)
    if title ~= '' then
      redis.call('HSETNX', meta, 'auto_title', title)
    end
    if #asked > 0 then
      local first = append(branch, asked)
      branch.untold = branch.untold + #asked
      save(name, branch)
      if undone then
        local cut = branch_from(unpack(cmsgpack.unpack(undone), 3))
        extend(cut, first, first + #asked)
        cut.untold = cut.untold + #asked
        undone = cmsgpack.pack({seen, turn .. ' ' .. branch_as_text(branch), branch_as_text(cut)})
      end
      learn(held.turn, first, branch, 'u', held.digest, name, limit)
      redis.call('HSET', meta, 'undo:' .. name, held.turn .. ' ' .. before)
    end
  end
  let_go(name, held)
end
if mine then
  redis.call('HDEL', waiting, name .. '/' .. opener)
end

local token = redis.call('HINCRBY', meta, 'token', 1)
local asked = {}
for index = 14, #ARGV do
  table.insert(asked, ARGV[index])
end
redis.call('HSET', pending,
  name, table.concat({token, turn, digest, ARGV[5], began, forked, opener, ARGV[13]}, ' '),
  name .. '/lease', string.format('%.0f', now + tonumber(ARGV[7])),
  name .. '/asked', cmsgpack.pack(asked),
  '/' .. turn, name)
if undone then
  redis.call('HSET', pending, name .. '/undone', undone)
end
kept_for(ARGV[6])
return {
  'opened', name, token, branch.messages, branch.untold, fixed_of(branch), newest_of(branch, tonumber(ARGV[8])),
  ranges_as_text(branch), redis.call('HGET', meta, 'memory') or '', active,
  tonumber(redis.call('HGET', meta, 'messages')),
}
