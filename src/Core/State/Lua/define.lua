-- Puts a version of the run-time changes in place of the one that the caller knew, or tells the newer one.
-- KEYS[1] changes   KEYS[2] board   ARGV[1] the version known   ARGV[2] the new one, or '' to only ask   ARGV[3] its document   ARGV[4] channel
-- Returns an array: the version in force, its document.
local version = redis.call('HGET', KEYS[1], 'v') or '0'
if ARGV[2] == '' or version ~= ARGV[1] then return { version, redis.call('HGET', KEYS[1], 'd') or '' } end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'd', ARGV[3])
redis.call('PEXPIRE', KEYS[1], 86400000)
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('SETRANGE', KEYS[2], 24, struct.pack('<d', tonumber(ARGV[2]))) end
redis.call('PUBLISH', ARGV[4], ARGV[2])
return { ARGV[2], ARGV[3] }
