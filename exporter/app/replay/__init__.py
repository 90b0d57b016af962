"""`lanner replay`: recorded events through the same state, rules and alerts as live ones."""
