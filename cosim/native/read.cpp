// Many reads at once: products, noise, narrowing. golden/spec/noise.py and the contract's section 5 say what;
// cosim/array.py calls it where every number stays within float64's 53 bits, so that neither the order of a sum nor a
// fused multiply-add changes a bit. Never compile this with -ffast-math.

#include <cmath>
#include <cstdint>
#include <vector>

namespace {

constexpr int BLOCK = 32;       // columns at a time
typedef double lanes __attribute__((vector_size(64), aligned(8)));
constexpr int LANES = 8, PARTS = BLOCK / LANES;
constexpr uint32_t READ_ROW = 0xFFFFFFFFu;
constexpr double NORMAL_SCALE = 1.0 / 65536;

struct Noise {
    uint32_t seed;
    const int32_t *quantiles;   // [1024] by a word's bits 31..22
};

// Normal numbers of BLOCK columns from ``first`` on, of one event of a tile.
void draw(const Noise &noise, uint32_t event, uint32_t first, uint32_t tile, double *draws) {
    for (int column = 0; column < BLOCK; column++) {
        uint32_t a = event, b = READ_ROW, c = first + uint32_t(column), d = 0, low = noise.seed, high = tile;
        for (int round = 0; round < 10; round++) {
            const uint64_t left = uint64_t(0xD2511F53u) * a, right = uint64_t(0xCD9E8D57u) * c;
            a = uint32_t(right >> 32) ^ b ^ low;
            b = uint32_t(right);
            c = uint32_t(left >> 32) ^ d ^ high;
            d = uint32_t(left);
            low += 0x9E3779B9u;
            high += 0xBB67AE85u;
        }
        draws[column] = noise.quantiles[a >> 22] + noise.quantiles[b >> 22] + noise.quantiles[c >> 22] +
                        noise.quantiles[d >> 22];
    }
}

// Sums of VECTORS vectors over a block's ``cells`` [rows][BLOCK]; with SQUARED of their squares over ``squares`` too.
template <int VECTORS, bool SQUARED>
void multiply(int rows, const int64_t *volts, const double *cells, const double *squares, double *sums, double *variances) {
    lanes sum[VECTORS][PARTS] = {}, variance[VECTORS][PARTS] = {};
    for (int row = 0; row < rows; row++)
        for (int vector = 0; vector < VECTORS; vector++) {
            const double volt = double(volts[int64_t(vector) * rows + row]);
            for (int part = 0; part < PARTS; part++) {
                sum[vector][part] += volt * reinterpret_cast<const lanes *>(cells + row * BLOCK)[part];
                if (SQUARED)
                    variance[vector][part] += volt * volt * reinterpret_cast<const lanes *>(squares + row * BLOCK)[part];
            }
        }
    for (int vector = 0; vector < VECTORS; vector++)
        for (int part = 0; part < PARTS; part++) {
            reinterpret_cast<lanes *>(sums + vector * BLOCK)[part] = sum[vector][part];
            if (SQUARED) reinterpret_cast<lanes *>(variances + vector * BLOCK)[part] = variance[vector][part];
        }
}

}  // namespace

extern "C" {

// Codes [tiles][vectors][columns]. ``volts`` [..][vectors][rows], of tile t from ``source``[t] * vectors * rows on;
// ``cells`` [tiles][rows][columns] in g_lsb; ``read`` of the preset, and ``noisy``, whether anything is random;
// ``floor_squared`` and ``scale`` [columns]: of each column's gain range. ``events`` [tiles] of the first vector,
// ``names`` [tiles] of the generator's key, ``quantiles`` [1024]. ``high``: the largest code; the lowest is -high - 1.
void rmd_read_tiles(int64_t tiles, int64_t vectors, int32_t rows, int32_t columns, const int64_t *volts,
                    const int64_t *source, const int32_t *cells, int32_t read, int32_t noisy, const double *floor_squared,
                    const double *scale, const uint32_t *events, const uint32_t *names, uint32_t seed,
                    const int32_t *quantiles, double high, int16_t *codes) {
    constexpr int GROUP = 2;
    const Noise noise{seed, quantiles};
    std::vector<double> block(size_t(rows) * BLOCK), squares(size_t(rows) * BLOCK);
    double draws[BLOCK], sums[GROUP * BLOCK], variances[GROUP * BLOCK] = {}, floors[BLOCK] = {}, scales[BLOCK] = {};
    for (int64_t tile = 0; tile < tiles; tile++)
        for (int32_t first = 0; first < columns; first += BLOCK) {
            const int count = columns - first < BLOCK ? columns - first : BLOCK;
            for (int column = 0; column < count; column++) {
                floors[column] = floor_squared[first + column];
                scales[column] = scale[first + column];
                for (int row = 0; row < rows; row++) {
                    const double cell = cells[(tile * rows + row) * columns + first + column];
                    const double sigma = std::nearbyint(cell * read * NORMAL_SCALE);
                    block[size_t(row) * BLOCK + column] = cell;
                    squares[size_t(row) * BLOCK + column] = sigma * sigma;
                }
            }
            for (int64_t vector = 0; vector < vectors; vector += GROUP) {
                const int64_t *volt = volts + (source[tile] * vectors + vector) * rows;
                const int group = vectors - vector < GROUP ? int(vectors - vector) : GROUP;
                if (group == GROUP)
                    (read ? multiply<GROUP, true> : multiply<GROUP, false>)(rows, volt, block.data(), squares.data(), sums, variances);
                else
                    (read ? multiply<1, true> : multiply<1, false>)(rows, volt, block.data(), squares.data(), sums, variances);
                for (int member = 0; member < group; member++) {
                    double *sum = sums + member * BLOCK;
                    const double *variance = variances + member * BLOCK;
                    if (noisy) {
                        draw(noise, events[tile] + uint32_t(vector + member), uint32_t(first), names[tile], draws);
                        for (int column = 0; column < BLOCK; column++) {
                            const double root = std::floor(std::sqrt(variance[column] + floors[column]));
                            sum[column] += std::nearbyint(draws[column] * root * NORMAL_SCALE);
                        }
                    }
                    int16_t narrowed[BLOCK];
                    for (int column = 0; column < BLOCK; column++) {
                        const double code = std::nearbyint(sum[column] * scales[column]);
                        narrowed[column] = int16_t(int32_t(code > high ? high : code < -high - 1 ? -high - 1 : code));
                    }
                    int16_t *place = codes + (tile * vectors + vector + member) * columns + first;
                    for (int column = 0; column < count; column++) place[column] = narrowed[column];
                }
            }
        }
}
}
