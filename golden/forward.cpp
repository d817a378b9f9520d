// One forward over a slice of vectors, every vector read and written once. Compiled by golden/native.py where a C++
// compiler is; golden/lora.py says when its numbers are the contract's: all sums within float64's 53 bits.
//
// All arithmetic is on integers that double carries exactly, scaled by powers of two, and nearbyint ties to even: so
// neither the order of a sum nor a fused multiply-add changes a bit. Never compile this with -ffast-math.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr int LANES = 8;            // rank lanes that are summed up side by side, in registers
constexpr double MAGIC = 6755399441055744.0;    // 1.5 * 2**52: the integer n is MAGIC + n's own last bits
constexpr int64_t MAGIC_BITS = 0x4338000000000000;

inline double to_double(int64_t code) {         // of magnitude below 2**51, without a conversion of 64-bit integers
    int64_t bits = code + MAGIC_BITS;
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value - MAGIC;
}

inline int64_t to_code(double value) {
    double shifted = value + MAGIC;
    int64_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    return bits - MAGIC_BITS;
}

inline double clamp(double value, double low, double high) { return std::min(std::max(value, low), high); }

}  // namespace

struct Forward {
    int64_t inputs, outputs, rank, rank_padded;     // rank_padded: rounded up to a multiple of LANES
    const int64_t *x, *c;                           // (n, inputs), (n, outputs); c may be null: 0
    const double *a, *b;                            // (inputs, rank_padded), (rank_padded, outputs), scaled; padding 0
    const double *offset, *gain;                    // (outputs,); gain scaled
    int64_t *p, *y;                                 // (n, rank), (n, outputs)
    int64_t x_low, x_high, c_low, c_high;           // codes outside are refused
    double p_low, p_high, y_low, y_high;
};

namespace {

// false where a code lies outside its format; what was computed is then of no use
bool run(const Forward &f, int64_t first, int64_t last) {
    std::vector<double> inner(f.rank_padded), u(f.outputs);
    int64_t x_least = 0, x_most = 0, c_least = 0, c_most = 0;
    for (int64_t n = first; n < last; n++) {
        const int64_t *x = f.x + n * f.inputs;
        for (int64_t lane = 0; lane < f.rank_padded; lane += LANES) {
            double sums[2][LANES] = {};             // of even and odd inputs: two chains of additions
            const double *a = f.a + lane;
            int64_t i = 0;
            for (; i + 1 < f.inputs; i += 2, a += 2 * f.rank_padded) {
                double even = to_double(x[i]), odd = to_double(x[i + 1]);
                for (int j = 0; j < LANES; j++) {
                    sums[0][j] += even * a[j];
                    sums[1][j] += odd * a[f.rank_padded + j];
                }
            }
            if (i < f.inputs)
                for (int j = 0; j < LANES; j++) sums[0][j] += to_double(x[i]) * a[j];
            for (int j = 0; j < LANES; j++)
                inner[lane + j] = clamp(std::nearbyint(sums[0][j] + sums[1][j]), f.p_low, f.p_high);
        }
        for (int64_t i = 0; i < f.inputs; i++) {
            x_least = std::min(x_least, x[i]);
            x_most = std::max(x_most, x[i]);
        }
        for (int64_t j = 0; j < f.rank; j++) f.p[n * f.rank + j] = to_code(inner[j]);

        std::fill(u.begin(), u.end(), 0.0);
        for (int64_t lane = 0; lane < f.rank_padded; lane += LANES) {
            const double *b = f.b + lane * f.outputs;
            for (int64_t o = 0; o < f.outputs; o++) {
                double sum = u[o];
                for (int j = 0; j < LANES; j++) sum += inner[lane + j] * b[j * f.outputs + o];
                u[o] = sum;
            }
        }
        int64_t *y = f.y + n * f.outputs;
        const int64_t *c = f.c ? f.c + n * f.outputs : nullptr;
        for (int64_t o = 0; o < f.outputs; o++) {
            int64_t code = c ? c[o] : 0;
            c_least = std::min(c_least, code);
            c_most = std::max(c_most, code);
            double w = std::nearbyint((to_double(code) - f.offset[o]) * f.gain[o]);
            y[o] = to_code(clamp(w + std::nearbyint(u[o]), f.y_low, f.y_high));
        }
    }
    return x_least >= f.x_low && x_most <= f.x_high && c_least >= f.c_low && c_most <= f.c_high;
}

}  // namespace

extern "C" int rmdlora_forward(const Forward *f, int64_t vectors, int64_t threads) {
    threads = std::max<int64_t>(1, std::min(threads, vectors));
    std::vector<char> good(threads, 0);
    auto part = [&](int64_t t) { good[t] = run(*f, vectors * t / threads, vectors * (t + 1) / threads); };
    std::vector<std::thread> others;
    for (int64_t t = 1; t < threads; t++) others.emplace_back(part, t);
    part(0);
    for (auto &other : others) other.join();
    return std::all_of(good.begin(), good.end(), [](char one) { return one != 0; });
}
