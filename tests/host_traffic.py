"""A host that reads and writes the buffer while the unit works, and a referee that knows what it may find there.

The referee follows each place of an adapter (a weight and its state) through the steps the unit takes on it: what the
place may hold is a set of (steps done, weight, state), as an observer knows it who cannot see the unit. A read must
find one of them and rules the others out; a write replaces a code in all of them. At the operation's end all steps are
done. A word lost, torn or written twice leaves the set empty.
"""

from lora_bench import SHIFTS, Case
from rmdlora.golden.spec.formats import requantise, round_shift, saturate, stochastic_shift, xorshift32
from rmdlora.golden.spec.registers import Kind
from rmdlora.hdl.buffer import Space

__all__ = ["Place", "Referee", "Traffic"]


class Place:
    """What ``codes`` (a tuple) stand at one place, and the ``steps`` (functions of such a tuple) under way there."""

    def __init__(self, codes):
        self.steps = ()
        self.known = {(0, codes)}

    def begin(self, steps):
        """An operation is about to take these steps."""
        (_, codes), = self.known
        self.steps, self.known = steps, {(0, codes)}

    def reachable(self):
        """What may stand here by now."""
        found = set()
        for done, codes in self.known:
            found.add((done, codes))
            for step in self.steps[done:]:
                done, codes = done + 1, step(codes)
                found.add((done, codes))
        return found

    def see(self, index, code):
        """A read has found ``code``."""
        self.known = {(done, codes) for done, codes in self.reachable() if codes[index] == code}
        return bool(self.known)

    def put(self, index, code):
        """A write has stored ``code``."""
        self.known = {(done, (*codes[:index], code, *codes[index + 1:])) for done, codes in self.reachable()}

    def end(self, codes):
        """The operation is over and left ``codes``."""
        self.known = {(done, those) for done, those in self.reachable() if (done, those) == (len(self.steps), codes)}
        return bool(self.known)


class Referee:
    """The places of one loaded `Case`: its adapter's, its calibration's and some outside. ``peek(space, element)``
    tells what stands there."""

    def __init__(self, case, peek):
        self.case, self.peek = case, peek
        lanes = case.configuration.lora
        layout = lanes.layout(case.k, case.d, case.r, case.base)
        self.inside = {}    # of the layer: matrix, position, lane
        for lane in range(case.r):
            for i in range(case.k):
                self.inside["adapter", layout.a_element(lane, i)] = ("a", i, lane)
            for o in range(case.d):
                self.inside["adapter", layout.b_element(o, lane)] = ("b", o, lane)
        after = (layout.base + layout.words) * lanes.row_elements
        for element in range(after, after + 2 * lanes.row_elements):
            self.inside["adapter", element] = None
        for output in range(2 * case.d):
            self.inside["calibration", case.calibration * lanes.rows + output] = (
                ("calibration", output, None) if output < case.d else None)
        self.places = {key: Place(self.look(key)) for key in self.inside}

    def look(self, key):
        """The codes at a place as they stand."""
        spaces = (Space.WEIGHTS, Space.STATES) if key[0] == "adapter" else (Space.GAIN, Space.OFFSET)
        return tuple(self.peek(space, key[1]) for space in spaces)

    def may_write(self, kind, key, index):
        """Whether the contract's results do not depend on what is written there."""
        inside = self.inside[key]
        if inside is None or kind == Kind.UPDATE:
            return True
        if inside[0] == "calibration":
            return kind == Kind.BACKWARD
        return index == 1 or not self.case.active[inside[2]]

    def begin(self, kind):
        """Tell every place its steps: the vectors of each block in a backward, one in an update."""
        case, s = self.case, self.case.shifts
        formats = case.configuration.formats
        draws = {}

        def grow(changes):
            def step(codes):
                state = codes[1]
                for change in changes:
                    state = saturate(state + change, formats.state)
                return codes[0], state
            return step

        def train(shift, draw):
            def step(codes):
                weight, state = codes
                change = round_shift(state, shift) if draw is None else stochastic_shift(state, shift, draw)
                left = state - round_shift(state, s["momentum"]) if s["momentum"] else 0
                return saturate(weight - change, formats.adapter), left
            return step

        if kind == Kind.BACKWARD:
            q = [[requantise(sum(case.b[o][j] * g[o] for o in range(case.d)), s["q"], formats.intermediate)
                  for j in range(case.r)] for g in case.g]
        elif kind == Kind.UPDATE and not case.nearest:
            for lane in range(case.r):
                state = case.generators[lane]
                for place in [("a", i) for i in range(case.k)] + [("b", o) for o in range(case.d)]:
                    state = xorshift32(state)
                    draws[(*place, lane)] = state
        for key, place in self.places.items():
            inside, steps = self.inside[key], ()
            if inside and inside[0] != "calibration" and case.trainable[inside[2]]:
                matrix, position, lane = inside
                if kind == Kind.BACKWARD:
                    products = [(q[v][lane] * case.x[v][position] if matrix == "a" else
                                 case.g[v][position] * case.p[v][lane]) for v in range(case.n)]
                    changes = [round_shift(product, s["va" if matrix == "a" else "vb"]) for product in products]
                    side = case.configuration.lora.vectors
                    steps = [grow(changes[at:at + side]) for at in range(0, case.n, side)]
                elif kind == Kind.UPDATE:
                    steps = [train(s["lra" if matrix == "a" else "lrb"], draws.get(inside))]
            place.begin(steps)

    def end(self):
        """Hold every place to what stands there, and take that over into the case."""
        case = self.case
        for key, place in self.places.items():
            before, codes = place.known, self.look(key)
            assert place.end(codes), f"{key} holds {codes}; known before: {before}"
            place.begin(())
            matrix, position, lane = self.inside[key] or (None, None, None)
            if matrix == "calibration":
                case.gain[position], case.offset[position] = codes
            elif matrix == "a":
                case.a[lane][position], case.va[lane][position] = codes
            elif matrix == "b":
                case.b[position][lane], case.vb[position][lane] = codes


class Traffic:
    """Reads and writes random places of a `Referee` while ``kind`` is set, with random pauses; every other time one of
    the row word that the unit writes in that very clock, if it does so soon: ``met`` counts those.
    """

    def __init__(self, world, pause):
        self.world, self.pause = world, pause
        self.referee = self.kind = None
        self.busy, self.met, self.served = False, 0, 0

    async def run(self, ctx):
        world, rng = self.world, self.world.rng
        rows, elements = world.bench.buffer.rows, world.bench.unit.configuration.lora.row_elements
        while True:
            for _ in range(1 + rng.randrange(self.pause)):
                await ctx.tick()
            if self.kind is None:
                continue
            self.busy = True
            key = rng.choice(list(self.referee.places))
            for _ in range(rng.choice((0, 20))):
                if ctx.get(rows.write_states):
                    row = ctx.get(rows.write_address)
                    key = rng.choice([("adapter", element) for word, element in self.referee.places
                                      if word == "adapter" and element // elements == row])
                    self.met += 1
                    break
                await ctx.tick()
            place, index = self.referee.places[key], rng.randrange(2)
            space = ((Space.WEIGHTS, Space.STATES) if key[0] == "adapter" else (Space.GAIN, Space.OFFSET))[index]
            if rng.random() < 0.5 and self.referee.may_write(self.kind, key, index):
                bits = world.bench.buffer.stores[space].bits
                code = rng.randrange(-1 << (bits - 1), 1 << (bits - 1))
                await world.host(ctx, space, key[1], code)
                place.put(index, code)
            else:
                before, code = place.known, await world.host(ctx, space, key[1])
                assert place.see(index, code), f"{key} read {code} ({index}); known before: {before}"
            self.served += 1
            self.busy = False

    async def settle(self, ctx):
        """No more requests; the last one is answered."""
        self.kind = None
        while self.busy:
            await ctx.tick()


def draw_case(configuration, rng, least=1):
    """A small `Case` with gentle shifts, so that codes differ and few saturate."""
    case = Case(configuration, rng, (rng.randint(least, 4), rng.randint(least, 5), rng.randint(least, 5),
                                     rng.randint(least, 4)))
    case.shifts = {name: rng.randint(0, 6) for name in SHIFTS}
    return case
