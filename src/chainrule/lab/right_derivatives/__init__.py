"""Right derivatives: a table of cases for chainrule and its peers, computed, not quoted."""
