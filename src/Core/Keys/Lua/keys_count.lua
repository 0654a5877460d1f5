-- Adds what an instance has counted of its keys, once however often it is sent.
-- KEYS[1] counts, a hash: "requests:NAME", "refusals:NAME", "input:NAME", "output:NAME"
-- KEYS[2] the number of the last batch of this instance
-- ARGV[1] the number of this batch, ARGV[2…] fields and what to add to each, in turn
-- Returns nothing.
if redis.call('GET', KEYS[2]) == ARGV[1] then return end
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('SET', KEYS[2], ARGV[1], 'PX', 3600000)
