"""Forgetting: what a clip went into, and training again without it."""
