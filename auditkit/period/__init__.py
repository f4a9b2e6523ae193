"""What only several snapshots can tell."""
