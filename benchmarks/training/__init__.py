"""Long proofs and comparisons of training: kills, failing disks, damaged files."""
