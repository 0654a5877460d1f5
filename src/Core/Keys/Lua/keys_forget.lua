-- Drops the counts of a key that is gone.   KEYS[1] counts, as in keys_count.lua   ARGV fields
return redis.call('HDEL', KEYS[1], unpack(ARGV))
