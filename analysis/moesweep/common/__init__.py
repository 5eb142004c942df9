"""What the runs of all methods share: their file as frames, and how a report shows a table."""
