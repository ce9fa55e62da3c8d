-- A branch as a whole, at one moment. ARGV: branch or nothing for the head, 1 to tell its messages.
-- Answers {fields of meta, base, branch, how it stands (nothing when there is no such branch), its first messages, turns
-- under way as {branch, turn_id, since_us, {message...}}}, or nothing when there is no such session.
local fields = redis.call('HGETALL', meta)
if #fields == 0 then
  return false
end
local name = ARGV[1] ~= '' and ARGV[1] or head_name()
local branch = branch_of(name)
local held = {}
for _, on in ipairs(held_branches()) do
  local turn = held_on(on)
  local asked = cmsgpack.unpack(redis.call('HGET', pending, on .. '/asked'))
  table.remove(asked, 1)
  table.insert(held, {on, turn.id, tonumber(turn.since), asked})
end
if not branch then
  return {fields, base(), name, false, {}, held}
end
return {fields, base(), name, branch_as_text(branch), ARGV[2] == '1' and next_of(branch.ranges, 0) or {}, held}
