"""The composition root: builds the rooms from the configuration, starts, reloads and stops them.

The only place that knows everyone. No logic of its own beyond order and lifetime.
"""
