"""Speed of chainrule beside its peers, side by side in one run: see README.md."""
