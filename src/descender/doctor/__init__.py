"""What went wrong: checks that turn a walk into findings."""
