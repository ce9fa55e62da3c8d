-- All there is of a session's messages. Answers {fields of meta, how the first branch stands, message...}, or nothing when
-- there is no such session.
local fields = redis.call('HGETALL', meta)
if #fields == 0 then
  return false
end
return {fields, branch_as_text(branch_of('main')), redis.call('LRANGE', log, 0, -1)}
