"""A script of software over the chip, which does not know what it talks to: a simulation, or engines of a board."""

import dataclasses

import numpy as np
from rmdlora.gen.driver import Driver, OperationFault, Shifts
from rmdlora.golden.spec.configuration import load_configuration

__all__ = ["use"]

TINY = load_configuration("tiny")
SHIFTS = Shifts(p=2, u=3, q=1, dx=2, va=3, vb=2, lra=4, lrb=4, momentum=2)


def use(transport):
    """Loads, runs, trains, reads back, meets faults, with operands and results on their way, and goes on."""
    random = np.random.default_rng(7)
    driver = Driver(transport, TINY)
    layer = driver.load_adapter(random.integers(-99, 99, (3, 17)), random.integers(-99, 99, (11, 3)))
    driver.load_states(layer)
    driver.seed(5, layer.rank)
    x, g = random.integers(-128, 128, (21, 17)), random.integers(-999, 999, (21, 11))
    c = random.integers(-9999, 9999, (21, 11))
    found = [driver.forward(layer, x, c, SHIFTS)]
    found += driver.train(layer, x, g, batch=6, shifts=SHIFTS)
    found += [*driver.read_adapter(layer), *driver.read_states(layer), driver.read_generators(layer.rank)]

    small = driver.load_adapter(np.ones((1, 2), int), np.ones((1, 1), int), base=layer.adapter)
    broken = dataclasses.replace(small, active=0b10)
    refuse(driver, "mask", lambda: driver.forward(broken, np.ones((1, 2), int)))
    found.append(driver.forward(small, np.full((3, 2), 4)))
    driver.set_timeout(2000)
    run = driver.run(layer, SHIFTS)
    run.forward(x, c)
    del run.operands["c"][:]        # nobody sends it: x moves until the unit needs c, y never does
    refuse(driver, "stream", run.finish)
    driver.set_timeout()
    found.append(driver.forward(small, np.full((3, 2), 5)))
    return [np.asarray(part).tolist() for part in found]


def refuse(driver, name, call):
    """``call`` must end in the fault of that name; then the driver lets go of what is left."""
    try:
        call()
    except OperationFault as fault:
        assert name in str(fault), fault
    else:
        raise AssertionError(f"the chip must report fault {name}, not carry it out")
    driver.soft_reset()
