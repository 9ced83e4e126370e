"""Fault injection: real upgrades of real hubs, each cut off or broken in one way; see ``docs/faults.md``."""
