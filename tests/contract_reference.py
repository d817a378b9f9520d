"""The contract's sections 2 to 4 and 6's run, read out loud: plain Python integers, one element at a time, slow.

Shares nothing with the product: it is what the oracle is held against.
"""


def round_shift(v, s):
    """v / 2**s to nearest, ties to even."""
    if s == 0:
        return v
    whole, rest = divmod(v, 2 ** s)
    if 2 * rest > 2 ** s or (2 * rest == 2 ** s and whole % 2):
        whole += 1
    return whole


def saturate(v, bits):
    """v clamped to the codes of bits bits."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return low if v < low else high if v > high else v


def requantise(v, s, bits):
    """round_shift and then saturate."""
    return saturate(round_shift(v, s), bits)


def stochastic_shift(v, s, t):
    """(v + t mod 2**s) / 2**s, rounded down."""
    return (v + t % 2 ** s) // 2 ** s


def xorshift32(t):
    """Marsaglia's step: 13 left, 17 right, 5 left."""
    t ^= t * 2 ** 13 % 2 ** 32
    t ^= t // 2 ** 17
    t ^= t * 2 ** 5 % 2 ** 32
    return t


def run(vectors, formats):
    """What a vector file's content gives: nested lists by name (``y``, ``p`` and, with gradients, ``dx``, ``q``, ``a``,
    ``b``, ``va``, ``vb``, ``generators``)."""
    n, k, d, r = vectors.sizes
    x, a, b = vectors.x.tolist(), vectors.a.tolist(), vectors.b.tolist()
    c = vectors.c.tolist() if vectors.c is not None else [[0] * d for _ in range(n)]
    gain, offset = vectors.gain.tolist(), vectors.offset.tolist()
    active, trainable = vectors.active.tolist(), vectors.trainable.tolist()
    va, vb = [[0] * k for _ in range(r)], [[0] * r for _ in range(d)]
    generators = [(vectors.seed + 0x9E3779B9 * (j + 1)) % 2 ** 32 or 1 for j in range(r)]
    out = {"y": [], "p": [], "dx": [], "q": []}
    for t in range(n):
        p = [requantise(sum(a[j][i] * x[t][i] for i in range(k)), vectors.p_shift, formats.intermediate)
             if active[j] else 0 for j in range(r)]
        y = []
        for o in range(d):
            u = sum(b[o][j] * p[j] for j in range(r))
            w = (c[t][o] - offset[o]) * gain[o]
            y.append(saturate(round_shift(w, vectors.w_shift) + round_shift(u, vectors.u_shift), formats.output))
        out["p"].append(p)
        out["y"].append(y)
        if vectors.g is None:
            continue
        g = vectors.g[t].tolist()
        q = [requantise(sum(b[o][j] * g[o] for o in range(d)), vectors.q_shift, formats.intermediate)
             if active[j] else 0 for j in range(r)]
        out["dx"].append([requantise(sum(a[j][i] * q[j] for j in range(r)), vectors.dx_shift, formats.output)
                          for i in range(k)])
        out["q"].append(q)
        for j in range(r):
            if trainable[j]:
                for o in range(d):
                    vb[o][j] = saturate(vb[o][j] + round_shift(g[o] * p[j], vectors.vb_shift), formats.state)
                for i in range(k):
                    va[j][i] = saturate(va[j][i] + round_shift(q[j] * x[t][i], vectors.va_shift), formats.state)
        if (t + 1) % vectors.batch == 0 or t + 1 == n:
            for j in range(r):
                if trainable[j]:
                    generators[j] = update_lane(j, k, d, a, b, va, vb, generators[j], vectors, formats)
    if vectors.g is None:
        return {"y": out["y"], "p": out["p"]}
    return out | {"a": a, "b": b, "va": va, "vb": vb, "generators": generators}


def update_lane(j, k, d, a, b, va, vb, t, vectors, formats):
    """Update lane j of a, b, va and vb in place; gives where its generator stands."""
    for position in range(k + d):
        if position < k:
            weights, state, row, column, shift = a, va, j, position, vectors.lra_shift
        else:
            weights, state, row, column, shift = b, vb, position - k, j, vectors.lrb_shift
        v = state[row][column]
        if vectors.rounding == "stochastic":
            t = xorshift32(t)
            move = stochastic_shift(v, shift, t)
        else:
            move = round_shift(v, shift)
        weights[row][column] = saturate(weights[row][column] - move, formats.adapter)
        state[row][column] = v - round_shift(v, vectors.momentum_shift) if vectors.momentum_shift else 0
    return t
