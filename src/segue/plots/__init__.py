"""Arrays in, figure out; the only user of matplotlib."""
