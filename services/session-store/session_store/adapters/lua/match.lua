-- Which messages of the log may hold some words: those that some branch holds and a text of which has one of the needles,
-- in any case as far as letters are ASCII. ARGV: index to begin at, how many to look at, how many to answer, needle...
-- Answers the index to go on from, or -1 at the end, and the messages.
local start, limit = tonumber(ARGV[1]), tonumber(ARGV[3])
local count, position = redis.call('LLEN', log), base() + start - 1
local lines = next_of({{base() + start, base() + math.min(count, start + tonumber(ARGV[2]))}}, 0)
local ranges = {}
for _, field in ipairs(redis.call('HKEYS', meta)) do
  if string.sub(field, 1, 2) == 'b:' then
    for _, range in ipairs(branch_of(string.sub(field, 3)).ranges) do
      table.insert(ranges, range)
    end
  end
end
if #ranges == 0 then
  ranges = branch_of('main').ranges
end

local function is_shown(at)
  for _, range in ipairs(ranges) do
    if range[1] <= at and at < range[2] then
      return true
    end
  end
  return false
end

-- The end of the JSON string that begins there, or one behind it: a quote after a backslash may be an end, and is passed.
local function closing(line, from)
  local at = string.find(line, '"', from, true)
  while at and string.byte(line, at - 1) == 92 do
    at = string.find(line, '"', at + 1, true)
  end
  return at or #line
end

local function has_needle(text)
  local low = string.lower(text)
  for index = 4, #ARGV do
    if string.find(low, ARGV[index], 1, true) then
      return true
    end
  end
  return false
end

-- Of a list of parts only the texts are looked at: an image may be millions of letters, and to lower those takes its time.
local function may_hold(line)
  local _, content = string.find(line, '"content":', 1, true)
  if string.byte(line, content + 1) ~= 91 then
    return has_needle(string.sub(line, content + 1))
  end
  for _, mark in ipairs({'"text":"', '"refusal":"'}) do
    local _, before = string.find(line, mark, content, true)
    while before do
      local close = closing(line, before + 1)
      if has_needle(string.sub(line, before + 1, close - 1)) then
        return true
      end
      _, before = string.find(line, mark, close, true)
    end
  end
  return false
end

local found = {start + #lines < count and start + #lines or -1}
for index, line in ipairs(lines) do
  if may_hold(line) and is_shown(position + index) then
    table.insert(found, line)
    if #found > limit then
      found[1] = index < #lines and start + index or found[1]
      break
    end
  end
end
return found
