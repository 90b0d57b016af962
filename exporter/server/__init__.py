"""Servers: HTTP for scrapers and people, gRPC for followers of the alert stream.

They ask the other rooms through the small interfaces they declare, and own no data but the queues
of their clients.
"""
