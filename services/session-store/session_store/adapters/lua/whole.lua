-- All there is of a session's messages. Answers {fields of meta, base, position behind the last one, how the first branch
-- stands, first messages}, or nothing when there is no such session.
local fields = redis.call('HGETALL', meta)
if #fields == 0 then
  return false
end
local first, behind = base(), base() + redis.call('LLEN', log)
return {fields, first, behind, branch_as_text(branch_of('main')), next_of({{first, behind}}, 0)}
