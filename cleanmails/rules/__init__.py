"""What is decided, and why: pure functions of what was gathered. No I/O, no clock and no dice of their own."""
