-- What the ledger holds of a pool, as the last settlement brought it here.
-- KEYS[1] base: a hash, "b:<name>" to "<requests> <record>", "registry" to the version of the run-time changes that is durable
-- KEYS[2] history: a hash, name to hours and days   ARGV names whose history is wanted, '*' for all
-- Returns an array: base, history (both name and value in turn).
local history = {}
if ARGV[1] == '*' then
  history = redis.call('HGETALL', KEYS[2])
else
  for i = 1, #ARGV do
    history[2 * i - 1], history[2 * i] = ARGV[i], redis.call('HGET', KEYS[2], ARGV[i]) or ''
  end
end
return { redis.call('HGETALL', KEYS[1]), history }
