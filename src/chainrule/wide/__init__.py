"""Programs evaluated in wide arithmetic: numbers of any precision, with a bound on their error."""
