-- nginx's smooth weighted round robin: the richest is picked; acquire settles the balances.
keepsBalance = true
pick = function(candidates, n)
  readAll()
  balances = column(BALANCE)
  local slots, weights, balances = slots, weights, balances
  local best, bestBalance = 1, -math.huge
  for i = 1, n do
    local position = candidates[i]
    local balance = balances[slots[position] + 1] + weights[position]
    if balance > bestBalance then best, bestBalance = i, balance end
  end
  return best
end
