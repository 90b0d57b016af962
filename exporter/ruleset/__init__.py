"""Lanner's own rules, loaded when the configuration names no rules files.

lanner_rules.yaml uses only the language and the fields of the reference engine, so that it loads
there as well; its head says how to adapt it without editing it.
"""
