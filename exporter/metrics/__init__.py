"""Metrics: every family Lanner exports, declared in one module, and the registry that prints them.

Bottom room: takes names and numbers, imports no other room.
"""
