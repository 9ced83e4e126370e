"""Failures that administrators meet when they upgrade, each on a real hub: who catches it, and when."""
