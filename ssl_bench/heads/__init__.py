"""Heads of torch that learn from maps: what stands on a backbone where a line through its features does not do."""
