-- What keys_count.lua has added up.   KEYS as there
-- Returns an array: fields and values in turn, the number of this instance's last batch (empty for none).
return { redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[2]) or '' }
