-- The newest messages of a branch, and the instructions in force wherever they stand, as they are at one moment.
-- ARGV: newest, branch or nothing for the head.
-- Answers {branch, messages, untold, fixed, newest, ranges, memory}, or nothing when there is no such branch.
local name = ARGV[2] ~= '' and ARGV[2] or head_name()
local branch = branch_of(name)
if not branch then
  return false
end
return {
  name, branch.messages, branch.untold, fixed_of(branch), newest_of(branch, tonumber(ARGV[1])),
  ranges_as_text(branch), redis.call('HGET', meta, 'memory') or '',
}
