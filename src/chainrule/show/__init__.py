"""Programs shown to people: source, graphs."""
