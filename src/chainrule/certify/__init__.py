"""Programs evaluated over the real numbers, with proof: ball arithmetic on Arb (python-flint)."""
