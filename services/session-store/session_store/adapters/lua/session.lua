-- What the scripts of a session share. Each is given all keys of its session, in the order of redis_keys.PARTS.
-- The first write of a script is one that a full Redis refuses, so that nothing is half written.
local meta, log, known, pending, waiting = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- As `0-10,12-14`.
local function ranges_from(text)
  local ranges = {}
  for first, behind in string.gmatch(text, '(%d+)-(%d+)') do
    table.insert(ranges, {tonumber(first), tonumber(behind)})
  end
  return ranges
end

-- How a branch stands is one field: messages, dialogs, untold, fixed_from, fixed_count, forked_at or -, ranges.
local function branch_from(text)
  local messages, dialogs, untold, from, count, at, rest =
    string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
  return {
    messages = tonumber(messages), dialogs = tonumber(dialogs), untold = tonumber(untold),
    fixed_from = tonumber(from), fixed_count = tonumber(count), forked_at = at, ranges = ranges_from(rest),
  }
end

local function ranges_as_text(branch)
  local parts = {}
  for _, range in ipairs(branch.ranges) do
    table.insert(parts, range[1] .. '-' .. range[2])
  end
  return table.concat(parts, ',')
end

local function branch_as_text(branch)
  return table.concat({
    branch.messages, branch.dialogs, branch.untold, branch.fixed_from, branch.fixed_count, branch.forked_at,
    ranges_as_text(branch),
  }, ' ')
end

-- Nothing when there is no such branch. The first one needs no field until something is written to it; in sessions of
-- before there were branches it is all there is.
local function branch_of(name)
  local text = redis.call('HGET', meta, 'b:' .. name)
  if text then
    return branch_from(text)
  elseif name ~= 'main' then
    return nil
  end
  local old = redis.call('HMGET', meta, 'messages', 'dialogs', 'instructions', 'fixed_from', 'fixed_count', 'appended')
  local found = {
    messages = tonumber(old[1] or '0'), dialogs = tonumber(old[2] or '0'), untold = tonumber(old[3] or '0'),
    fixed_from = tonumber(old[4] or '0'), fixed_count = tonumber(old[5] or '0'), forked_at = '-', ranges = {},
  }
  if found.messages > 0 then
    local appended = tonumber(old[6] or '0')
    found.ranges[1] = {appended - found.messages, appended}
  end
  return found
end

local function head_name()
  return redis.call('HGET', meta, 'head') or 'main'
end

local function save(name, branch)
  redis.call('HSET', meta, 'b:' .. name, branch_as_text(branch))
  if name == head_name() then
    redis.call('HSET', meta, 'messages', branch.messages, 'dialogs', branch.dialogs)
  end
end

-- The position of the oldest message that is still there.
local function base()
  return tonumber(redis.call('HGET', meta, 'appended') or '0') - redis.call('LLEN', log)
end

-- Later than every activity before, also where the clock is not.
local function touched(now)
  local stamp = math.max(tonumber(now), tonumber(redis.call('HGET', meta, 'active_us') or '0') + 1)
  redis.call('HSET', meta, 'active_us', string.format('%.0f', stamp))
  return stamp
end

local function kept_for(ttl)
  for _, key in ipairs(KEYS) do
    if ttl == '0' then
      redis.call('PERSIST', key)
    else
      redis.call('PEXPIRE', key, ttl)
    end
  end
end

-- For a key that is written without an activity: it goes when its session does.
local function kept_as_long(key)
  local left = redis.call('PTTL', meta)
  if left > 0 then
    redis.call('PEXPIRE', key, left)
  end
end

-- Put a part of the log onto the branch.
local function extend(branch, first, behind)
  local last = branch.ranges[#branch.ranges]
  if last and last[2] == first then
    last[2] = behind
  else
    table.insert(branch.ranges, {first, behind})
  end
  branch.messages = branch.messages + behind - first
end

-- Put messages behind the log and onto the branch; answers the position of the first.
local function append(branch, messages)
  for first = 1, #messages, 500 do
    redis.call('RPUSH', log, unpack(messages, first, math.min(first + 499, #messages)))
  end
  local behind = redis.call('HINCRBY', meta, 'appended', #messages)
  extend(branch, behind - #messages, behind)
  return behind - #messages
end

-- Of messages, in bytes, for some photographs are as long as a novel: what is told of a branch at most, and what one
-- answer has room for where others can follow it.
local TOLD, READ_AT_ONCE = 16 * 1024 * 1024, 8 * 1024 * 1024

-- The branch's newest messages, oldest first: fewer than wanted where they are longer than is told, but one at least.
local function newest_of(branch, wanted)
  local start, found, room = base(), {}, TOLD
  for index = #branch.ranges, 1, -1 do
    local first, behind = unpack(branch.ranges[index])
    while behind > first and #found < wanted do
      local from = math.max(first, behind - math.min(wanted - #found, 8))
      local lines = redis.call('LRANGE', log, from - start, behind - 1 - start)
      for at = #lines, 1, -1 do
        room = room - #lines[at]
        if room < 0 and #found > 0 then
          wanted = #found
          break
        end
        table.insert(found, lines[at])
      end
      behind = from
    end
  end
  for at = 1, math.floor(#found / 2) do
    found[at], found[#found + 1 - at] = found[#found + 1 - at], found[at]
  end
  return found
end

-- The messages at these ranges without the first ones, oldest first: as many as are read at once, but one at least.
local function next_of(ranges, without)
  local start, found, room = base(), {}, READ_AT_ONCE
  for _, range in ipairs(ranges) do
    local at = math.min(range[1] + without, range[2])
    without = without - (at - range[1])
    while at < range[2] do
      local behind = math.min(at + 16, range[2])
      for _, line in ipairs(redis.call('LRANGE', log, at - start, behind - 1 - start)) do
        room = room - #line
        if room < 0 and #found > 0 then
          return found
        end
        found[#found + 1] = line
      end
      at = behind
    end
  end
  return found
end

local function fixed_of(branch)
  if branch.fixed_count == 0 then
    return {}
  end
  local first = branch.fixed_from - base()
  return redis.call('LRANGE', log, first, first + branch.fixed_count - 1)
end

-- The turn under way on a branch: token, turn, digest, since, whether the session and whether the branch began with it,
-- the opener, and the turn's id as its client wrote it. Fields of a branch are its name and what follows a `/`, which no
-- name holds; `/<turn>` is the branch of a turn.
local function held_on(name)
  local text = redis.call('HGET', pending, name)
  if not text then
    return nil
  end
  local token, turn, digest, since, began, forked, opener, id =
    string.match(text, '^(%d+) (%S+) (%S+) (%d+) (%d) (%d) (%S+) (.*)$')
  return {
    token = token, turn = turn, digest = digest, since = since, began = began, forked = forked, opener = opener,
    id = id, lease = tonumber(redis.call('HGET', pending, name .. '/lease')),
  }
end

-- The branches on which a turn is under way: told by their own fields, for a `/<turn>` may stand alone.
local function held_branches()
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', pending)) do
    if not string.find(field, '/', 1, true) then
      table.insert(found, field)
    end
  end
  return found
end

local function let_go(name, held)
  redis.call('HDEL', pending, name, name .. '/lease', name .. '/asked', name .. '/undone', '/' .. held.turn)
end

-- A turn that was cut short and has been opened anew is there again as it was, if it is not answered this time either.
local function put_back(name, held)
  local undone = redis.call('HGET', pending, name .. '/undone')
  if not undone then
    return false
  end
  local seen, undo, text = unpack(cmsgpack.unpack(undone))
  save(name, branch_from(text))
  redis.call('HSET', known, held.turn, seen)
  kept_as_long(known)
  redis.call('HSET', meta, 'undo:' .. name, undo)
  return true
end

-- Remember that a turn is in the log, so that a repeat is known as one; the oldest beyond the limit are forgotten, some
-- at a time.
local function learn(turn, first, branch, told, digest, name, limit)
  redis.call('HSET', known, turn,
    table.concat({first, branch.ranges[#branch.ranges][2], branch.messages, told, digest, name}, ' '))
  if redis.call('HLEN', known) <= limit + limit / 10 then
    return
  end
  local all, turns = redis.call('HGETALL', known), {}
  for index = 1, #all, 2 do
    table.insert(turns, {tonumber(string.match(all[index + 1], '^%d+')), all[index]})
  end
  table.sort(turns, function(one, other) return one[1] < other[1] end)
  for index = 1, #turns - limit do
    redis.call('HDEL', known, turns[index][2])
  end
end
