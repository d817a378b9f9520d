"""Exercises the loopback library in the folder it runs in: a few beats through both pairs of streams."""

import pathlib

import numpy as np
from loopback import loopback_design
from loopback_map import COUNT, ELEMENTS
from rmdlora.cosim.lane import StreamLane

lane = StreamLane(loopback_design(), ELEMENTS, library=pathlib.Path.cwd())
lane.write(COUNT, 50)
lane.send("x", np.zeros((50, ELEMENTS), np.int64))
lane.expect("y", 50)
lane.run_until_idle(1000)
