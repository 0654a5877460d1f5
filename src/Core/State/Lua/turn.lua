-- Takes the right to probe for a while.   KEYS[1] the lock   ARGV[1] how long, ms   Returns 1 when taken.
return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
