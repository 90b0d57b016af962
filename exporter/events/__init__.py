"""Events: from raw record to `Event`; the event table, parameter types, value formatting.

Takes records from the sources, gives `Event` objects that state and rules read.
Text from the kernel stays bytes until someone shows it.
"""
