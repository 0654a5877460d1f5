-- What a strategy may use. Candidates are positions (from 1) in these arrays: in the pool's order, all able to take the request.
-- A strategy's file follows and sets pick(candidates, n), which returns an index (from 1) into candidates.
local slots, weights, inFlight
local roll1, roll2, ring
local balances
local pick
local keepsBalance = false
-- Slots and weights are read one by one as they are asked for: who looks at all of them calls this first.
local readAll = function() end

local function loadOf(position) return inFlight[slots[position] + 1] end
