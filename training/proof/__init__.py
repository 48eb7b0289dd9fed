"""How a run proves what it consumed: intent before the first step, a ledger of every step, signed heads, an audit."""
