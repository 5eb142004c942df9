"""The second method, knowledge by contrast between languages (XICI): questions files, runs, and their report."""
