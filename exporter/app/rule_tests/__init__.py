"""Runs unit tests of rules (`lanner rules test`) and reports what they found."""
