"""Outputs: one file a channel, and the delivery that every channel shares."""
