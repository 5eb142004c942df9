"""A paper's printed values, as a report needs them."""

import json


def model_of(run, file):
    """(all that the file says, its model with this run's geometry or None)."""
    known = json.loads(file.read_text())
    for model in known["models"]:
        if all(says(run.meta.get(name), value) for name, value in model["geometry"].items()):
            return known, model
    return known, None


def says(text, value):
    """Is a text of ours the paper's value, a number or a text?"""
    if isinstance(value, str) or text is None:
        return text == value
    try:
        return float(text) == value
    except ValueError:
        return False


def unlike(run, settings):
    """Which of the settings that the paper names, key -> value, are not the paper's; a list: any of them is."""
    apart = {key: value if isinstance(value, list) else [value] for key, value in settings.items()
             if run.setting(key) is not None}
    said = [f"{key} is {run.setting(key)} (the paper’s: {shown(values[0])})" for key, values in apart.items()
            if not any(says(run.setting(key), value) for value in values)]
    if not settings:
        return ""
    return f"Unlike the paper: {', '.join(said)}." if said else "Every number that the paper names is the paper’s."


def shown(value):
    return value if isinstance(value, str) else f"{value:g}"
