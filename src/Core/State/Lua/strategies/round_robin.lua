-- Each in turn.
pick = function(candidates, n) return turn % n + 1 end
