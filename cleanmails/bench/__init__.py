"""What it costs: each benchmark runs the real parts against a plain way of doing the same, in one run, and prints the conditions beside the figures."""
