"""Container runtimes: who a container is, asked over their sockets on the event loop.

Takes container ids, gives `Container` facts. Nothing here runs on the hot thread.
"""
