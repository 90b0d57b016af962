"""Unit tests of rules: test files, events made of field values or of short scenarios, coverage.

Path: document (YAML with places -> cases) -> given or scenario (cases -> events) -> evaluation
(conditions watched while they are decided). What runs the cases is `exporter.app.rule_tests`.
"""
