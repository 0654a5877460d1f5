-- Takes keys out of what the ledger left here.   KEYS as in base_read.lua   ARGV names
-- Returns nothing.
for i = 1, #ARGV do
  redis.call('HDEL', KEYS[1], 'b:' .. ARGV[i])
  redis.call('HDEL', KEYS[2], ARGV[i])
end
