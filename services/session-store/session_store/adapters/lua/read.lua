-- A session as it is at one moment.
-- KEYS: meta, messages. ARGV: fields of meta. Answers {their values, all messages}.
return {redis.call('HMGET', KEYS[1], unpack(ARGV)), redis.call('LRANGE', KEYS[2], 0, -1)}
