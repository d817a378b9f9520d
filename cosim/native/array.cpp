// The array in integers: golden/spec/noise.py and the contract's section 5 say what, array.h how to call it.

#include "array.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr uint32_t READ_ROW = 0xFFFFFFFFu;
constexpr uint32_t PULSE_WORD = 1;
constexpr int NORMAL_SHIFT = 16;
constexpr int MID_SCALE = 32768;
constexpr size_t KEPT_VIOLATIONS = 256;
enum Group { WL = 0, BL = 3, SL = 6, ADC = 9 };
constexpr int CONNECTED = 4, READ = 1;

rmd_config config;
bool configured = false;
constexpr size_t KEPT_HOLDS = size_t(1) << 20;

int64_t conversions = 0;
std::vector<int64_t> holds;         // ticks of the first KEPT_HOLDS conversions
std::vector<uint32_t> converted;   // [arrays] positions converted in the tile's present event, a bit each
std::vector<uint64_t> presented;   // [arrays] hash of lines and codes of that event

int64_t violations = 0;
std::vector<std::string> messages;

int64_t round_shift(int64_t value, int shift) {
    if (shift == 0) return value;
    return (value + (int64_t(1) << (shift - 1)) - 1 + ((value >> shift) & 1)) >> shift;
}

uint64_t square_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = uint64_t(1) << 31; bit != 0; bit >>= 1) {
        const uint64_t tried = root | bit;
        if (tried * tried <= value) root = tried;
    }
    return root;
}

// saturate(round_shift(current * num, shift)); a current beyond the ends is cut before the product could overflow.
int16_t narrow(int64_t current, int num, int shift) {
    const int64_t high = (int64_t(1) << (config.adc_bits - 1)) - 1;
    const int64_t end = ((high + 2) << shift) / num + 1;
    current = current > end ? end : current < -end ? -end : current;
    const int64_t code = round_shift(current * num, shift);
    return int16_t(code > high ? high : code < -high - 1 ? -high - 1 : code);
}

std::vector<uint64_t> faults;      // kind << 32 | index

bool broken(int kind, int index) {
    for (const uint64_t fault : faults)
        if (fault == (uint64_t(kind) << 32 | uint32_t(index))) return true;
    return false;
}

bool bit(const uint32_t *vector, int index) { return vector[index >> 5] >> (index & 31) & 1; }

// Change of a cell's conductance by a pulse of ``drive`` above what moves it, at ``conductance``, from a block.
int64_t pulse_change(int resetting, int32_t conductance, int64_t drive, int ticks, const uint32_t block[4]) {
    if (config.tables) {
        int point = (conductance + config.pitch / 2) / config.pitch;
        if (point >= config.points) point = config.points - 1;
        const int32_t *quantile = config.tables + (resetting * config.points + point) * config.quantiles;
        const uint64_t place = uint64_t(block[0]) * uint64_t(config.quantiles - 1);
        quantile += place >> 32;
        return quantile[0] + (int64_t(quantile[1] - quantile[0]) * int64_t(place >> 16 & 0xFFFF) >> 16);
    }
    int64_t change = round_shift(drive * ticks * config.gain, config.shift_pulse);
    if (config.spread) change += round_shift(int64_t(rmd_normal(block)) * config.spread, NORMAL_SHIFT);
    return resetting ? -change : change;
}

// Whether nothing drives the row or its gates.
bool dead_row(int row) {
    if (faults.empty()) return false;
    return broken(RMD_DAC_DEAD, row / 8) || broken(RMD_WL_OPEN, row) || broken(RMD_BL_OPEN, row) ||
           broken(RMD_WL_CHAIN, 0) || broken(RMD_BL_CHAIN, 0);
}

uint64_t hash(uint64_t seed, const uint32_t *words, int bits) {   // FNV-1a over words
    for (int word = 0; word < (bits + 31) / 32; word++) seed = (seed ^ words[word]) * 0x100000001B3ull;
    return seed;
}

}  // namespace

extern "C" {

int rmd_array_config(const rmd_config *given) {
    const bool sound = given && given->conductance && given->events && given->normal_table && given->arrays > 0 &&
        given->rows > 0 && given->columns > 0 && given->columns == given->adcs * given->positions &&
        given->adc_bits > 1 && given->adc_bits <= 14 && given->read >= 0 && given->floor[0] >= 0 && given->floor[1] >= 0;
    if (!sound) return -1;
    for (int range = 0; range < 2; range++)
        if (given->num[range] < 1 || given->shift[range] < 0 || given->shift[range] > 47) return -1;
    config = *given;
    configured = true;
    conversions = 0;
    holds.clear();
    converted.assign(size_t(config.arrays), 0);
    presented.assign(size_t(config.arrays), 0);
    return 0;
}

int64_t rmd_array_conversions(void) { return conversions; }

int64_t rmd_array_holds(int64_t first, int64_t count, int64_t *ticks) {
    int64_t given = 0;
    while (given < count && first + given < int64_t(holds.size())) {
        ticks[given] = holds[size_t(first + given)];
        given++;
    }
    return given;
}

void rmd_array_codes(int32_t tile, uint32_t event, const int32_t *volts, const uint8_t *high, int32_t first,
                     int32_t columns, int16_t *codes) {
    std::vector<int64_t> current(static_cast<size_t>(columns), 0);
    std::vector<uint64_t> variance(static_cast<size_t>(columns), 0);
    const int32_t *cells = config.conductance + int64_t(tile) * config.rows * config.columns + first;
    for (int row = 0; row < config.rows; row++, cells += config.columns) {
        const int64_t volt = volts[row];
        if (volt == 0) continue;
        for (int column = 0; column < columns; column++) current[column] += volt * cells[column];
        if (config.read != 0)
            for (int column = 0; column < columns; column++) {
                const int64_t sigma = volt * round_shift(int64_t(cells[column]) * config.read, 16);
                variance[column] += uint64_t(sigma * sigma);
            }
    }
    const uint32_t key[2] = {config.seed, uint32_t(tile)};
    for (int column = 0; column < columns; column++) {
        const int range = high[first + column], stage = range * config.columns + first + column;
        const int64_t clean = current[column];
        if (config.stage_slope)
            current[column] += round_shift(clean * config.stage_slope[stage], 16) + config.stage_offset[stage];
        if (config.read != 0 || config.floor[range] != 0) {
            const uint32_t counter[4] = {event, READ_ROW, uint32_t(first + column), 0};
            uint32_t block[4];
            rmd_philox(counter, key, block);
            const uint64_t root = square_root(variance[column] + uint64_t(config.floor[range] * config.floor[range]));
            current[column] += round_shift(int64_t(rmd_normal(block)) * int64_t(root), NORMAL_SHIFT);
        }
        codes[column] = narrow(current[column], config.num[range], config.shift[range]);
    }
}

void rmd_array_read(int rows, int columns, int adcs, int selected, int position, int lines, const uint32_t *wl,
                    const uint32_t *bl, const uint32_t *sl, const uint32_t *dac, uint32_t *codes, long long tick) {
    auto give = [&](int adc, int16_t code) {
        uint32_t &word = codes[adc >> 1];
        word = (word & ~(0xFFFFu << (16 * (adc & 1)))) | uint32_t(uint16_t(code)) << (16 * (adc & 1));
    };
    memset(codes, 0, sizeof(uint32_t) * size_t((adcs + 1) / 2));
    for (int adc = 0; adc < adcs; adc++) give(adc, -8192);
    if (!configured || rows != config.rows || columns != config.columns || adcs != config.adcs) {
        rmd_violation("array", "configured for this board (rows)", configured ? config.rows : 0, rows, tick);
        return;
    }
    if (selected < 0 || selected >= config.arrays) {
        rmd_violation("array", "selected, below", config.arrays, selected, tick);
        return;
    }
    auto in_read = [&](int group) { return (lines >> group & 7) == (CONNECTED | READ); };
    // lines in other states, and a switch that is off or beyond the positions, are violations of the board already
    if (!in_read(SL) || !(lines >> ADC & CONNECTED) || position >= config.positions) return;

    std::vector<int32_t> volts(static_cast<size_t>(rows), 0);
    int largest = 0;
    for (int row = 0; row < rows; row++) {
        const int code = int(dac[row >> 1] >> (16 * (row & 1)) & 0xFFFF);
        const int volt = in_read(BL) && bit(bl, row) ? MID_SCALE - code : 0;
        largest = volt > largest ? volt : -volt > largest ? -volt : largest;
        volts[size_t(row)] = in_read(WL) && bit(wl, row) && !dead_row(row) ? volt : 0;
    }
    if (largest > config.read_limit)
        rmd_violation("array", "read voltage of a row, in DAC codes", config.read_limit, largest, tick);
    std::vector<uint8_t> high(static_cast<size_t>(columns));
    for (int column = 0; column < columns; column++)
        high[size_t(column)] = bit(sl, column) && !broken(RMD_SL_CHAIN, 0);

    const uint32_t fixed = uint32_t(lines);
    uint64_t seen = hash(0xCBF29CE484222325ull, &fixed, 32);
    seen = hash(hash(hash(hash(seen, wl, rows), bl, rows), sl, columns), dac, 16 * rows);
    const size_t tile = size_t(selected);
    if (converted[tile] == 0 || converted[tile] >> position & 1 || presented[tile] != seen) {
        config.events[tile]++;
        converted[tile] = 0;
        presented[tile] = seen;
    }
    converted[tile] |= 1u << position;
    conversions++;
    if (holds.size() < KEPT_HOLDS) holds.push_back(tick);

    std::vector<int16_t> answer(static_cast<size_t>(adcs));
    const int first = broken(RMD_ADC_SWITCH, 0) ? 0 : position * adcs;
    rmd_array_codes(selected, config.events[tile] - 1, volts.data(), high.data(), first, adcs, answer.data());
    for (int adc = 0; adc < adcs; adc++) {
        if (broken(RMD_SL_OPEN, first + adc)) answer[size_t(adc)] = 0;
        if (broken(RMD_STAGE_AT_RAIL, first + adc)) answer[size_t(adc)] = int16_t((1 << (config.adc_bits - 1)) - 1);
        give(adc, answer[size_t(adc)]);
    }
}

void rmd_array_pulse(int rows, int columns, int selected, int resetting, const uint32_t *wl, const uint32_t *bl,
                     const uint32_t *sl, const uint64_t *supplies, int ticks, long long tick) {
    if (!configured || rows != config.rows || columns != config.columns || !config.pulses) {
        rmd_violation("array", "a model of pulses for this board (rows)", configured ? config.rows : 0, rows, tick);
        return;
    }
    if (selected < 0 || selected >= config.arrays) {
        rmd_violation("array", "selected, below", config.arrays, selected, tick);
        return;
    }
    const int vp_bl = *supplies & 0xFFFF, vp_sl = *supplies >> 16 & 0xFFFF, gate = *supplies >> 32 & 0xFFFF;
    int struck = 0;
    for (int row = 0; row < rows; row++) {
        if (!bit(wl, row) || dead_row(row)) continue;
        for (int column = 0; column < columns; column++) {
            if (!bit(sl, column) || broken(RMD_SL_OPEN, column) || broken(RMD_SL_CHAIN, 0)) continue;     // open
            struck++;
            const size_t cell = (size_t(selected) * size_t(rows) + size_t(row)) * size_t(columns) + size_t(column);
            int32_t &conductance = config.conductance[cell];
            const uint32_t before = config.pulses[cell]++;
            const int volt = (resetting ? 0 : vp_sl) - (bit(bl, row) ? vp_bl : 0);
            const int over = (volt > 0 ? volt : -volt) - config.threshold[volt <= 0];
            const int64_t drive = over < gate - config.gate_threshold ? over : gate - config.gate_threshold;
            if (drive <= 0 || (config.endurance && before >= uint32_t(config.endurance))) continue;
            const uint32_t counter[4] = {before, uint32_t(row), uint32_t(column), PULSE_WORD};
            const uint32_t key[2] = {config.seed, uint32_t(selected)};
            uint32_t block[4];
            rmd_philox(counter, key, block);
            int64_t change = pulse_change(volt <= 0, conductance, drive, ticks, block);
            if (config.strength) change = round_shift(change * config.strength[cell], 16);
            int64_t low = config.low ? config.low[cell] : 0, high = config.high ? config.high[cell] : config.ceiling;
            if (config.narrowing && config.endurance) {
                const int64_t loss = (high - low) * config.narrowing * before / (int64_t(config.endurance) << 17);
                low += loss, high -= loss;
            }
            const int64_t moved = conductance + change;
            conductance = int32_t(moved < low ? low : moved > high ? high : moved);
        }
    }
    if (struck > 1) rmd_violation("array", "cells under a pulse", 1, struck, tick);
}

void rmd_violation(const char *part, const char *rule, int limit, int measured, long long tick) {
    violations++;
    if (messages.size() >= KEPT_VIOLATIONS) return;
    char text[256];
    snprintf(text, sizeof text, "%s: %s: limit %d, measured %d, at tick %lld", part, rule, limit, measured, tick);
    messages.emplace_back(text);
}

void rmd_fault_add(int32_t kind, int32_t index) { faults.push_back(uint64_t(kind) << 32 | uint32_t(index)); }

void rmd_fault_clear(void) { faults.clear(); }

unsigned char rmd_fault(int kind, int index) { return broken(kind, index); }

int64_t rmd_violation_count(void) { return violations; }

int rmd_violation_text(int64_t index, char *text, int size) {
    if (index < 0 || index >= int64_t(messages.size()) || size < 1) return -1;
    return snprintf(text, size_t(size), "%s", messages[size_t(index)].c_str());
}

void rmd_violation_clear(void) {
    violations = 0;
    messages.clear();
}

void rmd_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t block[4]) {
    uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3], low = key[0], high = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t first = uint64_t(0xD2511F53u) * a, second = uint64_t(0xCD9E8D57u) * c;
        a = uint32_t(second >> 32) ^ b ^ low;
        b = uint32_t(second);
        c = uint32_t(first >> 32) ^ d ^ high;
        d = uint32_t(first);
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
    block[0] = a, block[1] = b, block[2] = c, block[3] = d;
}

int32_t rmd_normal(const uint32_t block[4]) {
    int32_t sum = 0;
    for (int word = 0; word < 4; word++) {
        const int32_t entry = config.normal_table[block[word] >> 22 & 511];
        sum += block[word] >> 31 ? -entry : entry;
    }
    return sum;
}
}
