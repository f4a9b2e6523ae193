"""The humans' part: what people write into workbooks is read back, and never overwritten."""
