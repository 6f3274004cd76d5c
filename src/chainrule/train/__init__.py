"""Training: the loop, its babysitter, and runs on disk."""
