"""The capture of a run as arrays over (question, language, layer, expert)."""

import numpy as np

DIMENSIONS = "question", "language", "layer", "expert"
VARIABLES = {  # meaning
    "weight": "mean gate weight over the tokens of capture.tokens (eq. 1); NaN: not asked in this language",
    "prompt_weight": "mean gate weight over the prompt's tokens",
    "answer_weight": "mean gate weight over the answer's tokens; 0 where none was fed",
    "asked": "the question is asked in this language",
    "right": "the answer is right; false where it is not asked",
    "prompt_tokens": "tokens of the prompt",
    "answer_tokens": "tokens of the answer that were fed",
}


def dataset(run):
    """What XiciRun.to_xarray says."""
    import xarray

    capture, labels = run.capture, run.languages.label.to_numpy()
    place = capture.question.to_numpy(), capture.language.cat.codes.to_numpy()
    size = len(run.questions), len(labels)
    right = capture.merge(run.answers, on=["trial", "language"], how="left").right.fillna(False).to_numpy(bool)

    def placed(values, missing):
        array = np.full((*size, *values.shape[1:]), missing, values.dtype)
        array[place] = values
        return array

    arrays = {"weight": placed(run.gate_weights(), np.nan),
              "prompt_weight": placed(run.gate_weights("prompt"), np.nan),
              "answer_weight": placed(run.gate_weights("answer"), np.nan),
              "asked": placed(np.ones(len(capture), bool), False), "right": placed(right, False),
              "prompt_tokens": placed(capture.prompt_tokens.to_numpy(), 0),
              "answer_tokens": placed(capture.answer_tokens.to_numpy(), 0)}
    variables = {name: (DIMENSIONS[:array.ndim], array, {"meaning": VARIABLES[name]}) for name, array in arrays.items()}
    coordinates = {"question": np.arange(size[0]), "language": labels, "layer": run.layers,
                   "expert": np.arange(arrays["weight"].shape[3])}
    for name in ("id", "dataset", "relation"):
        coordinates[name] = "question", run.questions[name].to_numpy()
    return xarray.Dataset(variables, coordinates)
