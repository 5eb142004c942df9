"""The second method: knowledge by contrast between languages (XICI)."""
