"""Heads of torch that learn from maps: what stands on a backbone where more is asked than a line through its features."""
