"""What each operation means: one record an operation, one file a family."""
