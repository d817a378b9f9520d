"""The face task: an MLP-Mixer that knows five people, forgets one and learns a sixth.

`mixer` is the network in float and how the demonstration trains it; `recipe` the whole task, on the array.
"""

from .mixer import (
    ADAPTED,
    FaceTask,
    Mixer,
    accuracy,
    accuracy_by_identity,
    confusion,
    learn,
    prepare_task,
    unlearn,
)

__all__ = ["ADAPTED", "FaceTask", "Mixer", "accuracy", "accuracy_by_identity", "confusion", "learn", "prepare_task",
           "unlearn"]
