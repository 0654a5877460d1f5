-- What keys_count.lua has added up.   KEYS[1] counts, as there   Returns fields and values in turn.
return redis.call('HGETALL', KEYS[1])
