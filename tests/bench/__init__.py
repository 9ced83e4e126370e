"""How long a hub is away while it is upgraded, in three ways, side by side. ``python -m tests.bench``"""
