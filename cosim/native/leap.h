// Clocks passed over at once: those in which nothing but timers would move.
//
// What an edge makes of a design is a function of what is in it and at its ports. Where two edges, one after the other,
// changed nothing but timers, and each of these by the same one up or down, the next edge does the same again, as long
// as whoever asks a timer gets the same answer: until it comes near a value it is compared with (cosim/timers.py has
// them from the text). Timers then go there at once, and the edge that matters is evaluated as any other. Two edges,
// not one: what the first wrote into a memory, which is not looked at here, the second may have read.
//
// "model.h" has HELD_MEMBERS, `{offset, bytes}` of all that must not move, but for what lies in units that rest (see
// cosim/rest.py); RESTING(root), whether they all do; and TIMER_MEMBERS, `{offset, bytes, bits, {constants},
// {{offset, bytes} of what else it is compared with}}`, within the model's root.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "model.h"

struct Member { size_t at, bytes; };
struct TimerMember { size_t at, bytes, bits; std::vector<uint64_t> ends; std::vector<Member> asked; };

class Leap {
  public:
    explicit Leap(Model* design) : model(design), root(reinterpret_cast<uint8_t*>(design->rootp)), timers{TIMER_MEMBERS} {
        // neighbours in memory become one range
        std::vector<Member> held{HELD_MEMBERS};
        std::sort(held.begin(), held.end(), [](const Member& one, const Member& other) { return one.at < other.at; });
        for (const Member& member : held) {
            if (!ranges.empty() && ranges.back().at + ranges.back().bytes == member.at)
                ranges.back().bytes += member.bytes;
            else ranges.push_back(member);
        }
        size_t bytes = 0;
        for (const Member& range : ranges) bytes += range.bytes;
        kept.resize(bytes);
        values.resize(timers.size());
        steps.resize(timers.size());
    }

    // Something happened from outside: what was looked at counts no more.
    void disturb() { looked = 0; }

    // After a clock: how many to pass over now, at most `limit`, often none.
    uint64_t after_clock(uint64_t limit) {
        bool moved = false;
        for (Glimpse& at : lively) {
            uint64_t value;
            std::memcpy(&value, root + at.at, sizeof value);
            moved |= (value & at.mask) != at.value;
            at.value = value & at.mask;
        }
        if (moved) {
            patience = looked = 0;
            return 0;
        }
        if (patience) return patience--, 0;
        if (!looked) {
            keep();
            looked = 1;
            return 0;
        }
        if (!same()) return look_again(1);
        if (!step()) return look_again(0);
        if (++looked < 3 || !RESTING(model->rootp)) return 0;
        const uint64_t count = std::min(limit, distance());
        for (size_t i = 0; i < timers.size(); i++) write(timers[i], values[i] + count * steps[i]);
        return look_again(NEAR), count;
    }

  private:
    static constexpr unsigned NEAR = 2;         // clocks around what a timer is asked for, each simulated
    static constexpr size_t GLIMPSES = 8;

    // A place where something moved at a look in vain, and what was there last. A look costs about as much as half a
    // clock, so where something moves there, none is taken.
    struct Glimpse { size_t at; uint64_t mask, value; };

    uint64_t look_again(unsigned later) {
        patience = later;
        looked = 0;
        return 0;
    }

    uint64_t read(size_t at, size_t bytes) const {
        uint64_t value = 0;
        std::memcpy(&value, root + at, std::min<size_t>(bytes, 8));
        return value;
    }

    void write(const TimerMember& timer, uint64_t value) {
        std::memcpy(root + timer.at, &value, std::min<size_t>(timer.bytes, 8));
    }

    static uint64_t ones(size_t bits) { return ~uint64_t(0) >> (64 - std::min<size_t>(bits, 64)); }

    void keep() {
        size_t to = 0;
        for (const Member& range : ranges) {
            std::memcpy(&kept[to], root + range.at, range.bytes);
            to += range.bytes;
        }
        for (size_t i = 0; i < timers.size(); i++) values[i] = read(timers[i].at, timers[i].bytes);
    }

    // Whether all is as it was kept. What is not will be looked at first from now on.
    bool same() {
        size_t from = 0;
        for (const Member& range : ranges) {
            const uint8_t* now = root + range.at;
            if (std::memcmp(&kept[from], now, range.bytes)) {
                const size_t at = std::mismatch(now, now + range.bytes, &kept[from]).first - now;
                const uint64_t mask = ones(8 * (range.bytes - at));
                lively[next_glimpse++ % GLIMPSES] = {range.at + at, mask, read(range.at + at, range.bytes - at)};
                return false;
            }
            from += range.bytes;
        }
        return true;
    }

    // Takes the timers' new values; whether each moved by one at most, and as it did in the clock before.
    bool step() {
        bool steady = true;
        for (size_t i = 0; i < timers.size(); i++) {
            const uint64_t value = read(timers[i].at, timers[i].bytes), by = value - values[i];
            steady &= by + 1 <= 2 && (looked == 1 || by == steps[i]);
            steps[i] = by;
            values[i] = value;
        }
        return steady;
    }

    // Clocks in which no timer comes to a value it is compared with, nor to its end, nor has just left one.
    uint64_t distance() const {
        uint64_t least = ~uint64_t(0);
        for (size_t i = 0; i < timers.size(); i++) {
            if (!steps[i]) continue;
            const bool up = steps[i] == 1;
            const uint64_t value = values[i];
            const auto meet = [&](uint64_t end) {
                if (up ? end + 2 > value : end < value + 2)     // not left behind
                    least = std::min(least, up ? std::max(end, value) - value : value - std::min(end, value));
            };
            meet(up ? ones(timers[i].bits) : 0);
            for (const uint64_t end : timers[i].ends) meet(end);
            for (const Member& other : timers[i].asked) meet(read(other.at, other.bytes));
        }
        return least ? least - 1 : 0;
    }

    const Model* model;
    uint8_t* root;
    const std::vector<TimerMember> timers;
    std::vector<Member> ranges;
    std::vector<uint8_t> kept;
    std::vector<uint64_t> values, steps;
    unsigned looked = 0;        // looks since `keep`, itself included, at which nothing but timers had moved
    unsigned patience = 0;      // clocks until the next look
    Glimpse lively[GLIMPSES] = {};
    size_t next_glimpse = 0;
};
