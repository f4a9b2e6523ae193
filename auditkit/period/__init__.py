"""What only several snapshots can tell: coverage of the period, intervals, changes, operating effectiveness, samples."""
