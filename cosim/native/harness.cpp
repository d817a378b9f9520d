// Everything that happens every clock of the native lane: the clock, an AXI4-Lite master, and a source or a sink at
// every AXI4-Stream port. Python hands over whole arrays and asks for whole runs (cosim/native.py).
//
// One clock, as at the pins:  drive the inputs | settle | sample both sides of every handshake | rising edge.
// A source that offers a beat holds it until it is taken; stalls only delay the offer. A sink is ready only for beats
// somebody expects. Both may stall at random, each from a seed of its own.
//
// "model.h", written beside this file for every build, names the model:  using Model = V<top>;  and, where the design
// allows it, CLOCK_BEFORE(model): the model's record of the clock's last level, RISE(model): evaluates a rising edge of
// the clock and nothing else, and what leap.h needs.

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "model.h"
#ifdef HELD_MEMBERS
#include "leap.h"
#endif

extern double main_time;    // $time, in ns; defined by PyVerilator's wrapper

namespace {

constexpr int TICK_NS = 10;

// Steele, Lea, Flood: Fast splittable pseudorandom number generators (SplitMix64)
struct Stall {
    uint64_t state = 0;
    uint64_t threshold = 0;     // probability of a stalled clock, times 2**32

    bool now() {
        if (!threshold) return false;
        uint64_t z = (state += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return ((z ^ (z >> 31)) >> 32) < threshold;
    }
};

// Part of a stream's traffic: `count` beats at `beats`, and where to note of each the clock it moved at and tlast.
struct Segment {
    uint8_t* beats;
    uint64_t count;
    uint64_t* clocks;
    uint8_t* lasts;
};

// As `StreamPort` in cosim/native.py. Pointers go straight to the model's ports; `bytes` is a beat's size.
struct StreamPort {
    uint8_t *valid, *ready, *last, *data;
    uint64_t bytes, source;
};

struct Stream : StreamPort {
    std::deque<Segment> queue;
    uint64_t at = 0;            // next beat of the queue's first segment
    uint64_t pending = 0;       // beats not yet moved, of all segments
    uint64_t moved = 0;         // beats moved since reset
    Stall stall;
};

// As `BusPort` in cosim/native.py.
struct BusPort {
    uint8_t *awvalid, *awready, *wvalid, *wready, *bvalid, *bready, *arvalid, *arready, *rvalid, *rready;
    uint8_t *awaddr, *wdata, *wstrb, *bresp, *araddr, *rdata, *rresp;
    uint64_t address_bytes;
};

struct Interval { uint64_t first, last; };

struct Harness {
    Model* model;
    uint8_t *clk, *rst, *running;       // `running` is null in a design that has no such port
    BusPort bus;
    std::vector<Stream> streams;
    uint64_t clocks = 0;                // rising edges since the end of reset
    uint64_t pending = 0;               // beats not yet moved, of all streams
    uint64_t running_clocks = 0;
    bool ran = false;
    std::vector<Interval> intervals;    // in which `running` was high
    bool changed = true;                // an input has a new value that has not settled
    // the transfer on the bus
    bool writing = false, reading = false, address_taken = false, data_taken = false;
#ifdef TRACED
    VerilatedVcdC* trace = nullptr;
#endif
    bool eventful = true;               // something was driven or moved at the ports in the last clock
    uint64_t passed = 0;                // clocks passed over, since reset
    bool leaping = true;
#ifdef HELD_MEMBERS
    Leap leap;
    uint64_t looked = 0;                // `clocks` when it last had a look

    explicit Harness(Model* design) : model(design), leap(design) {}
#else
    explicit Harness(Model* design) : model(design) {}
#endif

    // After a clock: passes over those that would be like it, at most `limit`; how many. A stall may come in any clock.
    uint64_t pass([[maybe_unused]] uint64_t limit) {
#ifdef HELD_MEMBERS
        const bool in_turn = ++looked == clocks;
        looked = clocks;
        if (eventful || changed || !leaping || !in_turn) {
            leap.disturb();
            return 0;
        }
        const uint64_t count = leap.after_clock(limit);
        if (!count) return 0;
        looked = clocks += count;
        passed += count;
        main_time += static_cast<double>(count * TICK_NS);
        if (running && *running) {
            running_clocks += count;
            intervals.back().last = clocks - 1;
        }
        return count;
#else
        return 0;
#endif
    }

    void put(uint8_t* port, uint8_t value) {
        if (*port != value) { *port = value; changed = true; }
    }

    void drive() {
        for (Stream& stream : streams) {
            if (stream.source) {
                if (*stream.valid || !stream.pending || stream.stall.now()) continue;
                const Segment& segment = stream.queue.front();
                std::memcpy(stream.data, segment.beats + stream.at * stream.bytes, stream.bytes);
                *stream.last = stream.at + 1 == segment.count;
                *stream.valid = 1;
                changed = true;
            } else {
                put(stream.ready, stream.pending && !stream.stall.now());
            }
        }
    }

    // The beat at `stream` moves at this clock's edge.
    void move(Stream& stream) {
        Segment& segment = stream.queue.front();
        if (segment.clocks) segment.clocks[stream.at] = clocks;
        if (stream.source) {
            *stream.valid = 0;      // dropped only after the edge: see `clock`
            *stream.last = 0;
        } else {
            std::memcpy(segment.beats + stream.at * stream.bytes, stream.data, stream.bytes);
            if (segment.lasts) segment.lasts[stream.at] = *stream.last;
        }
        stream.moved++;
        stream.pending--;
        pending--;
        if (++stream.at == segment.count) {
            stream.queue.pop_front();
            stream.at = 0;
        }
    }

    void dump([[maybe_unused]] int phase_ns) {
#ifdef TRACED
        if (trace) trace->dump(static_cast<uint64_t>(main_time) + phase_ns);
#endif
    }

    // One clock. Returns true where the transfer on the bus ended in it.
    bool clock() {
        drive();
#if defined(CLOCK_BEFORE) && !defined(TRACED)
        if (changed) {
            *clk = 0;
            model->eval();
        } else {
            CLOCK_BEFORE(model) = 0;    // all has settled since the last edge: the falling one would change nothing
        }
#else
        *clk = 0;
        model->eval();
        dump(0);
#endif
        eventful = changed;
        changed = false;

        // both sides of every handshake, before anything moves
        uint64_t moving = 0;
        for (size_t i = 0; i < streams.size(); i++)
            if (*streams[i].valid && *streams[i].ready) moving |= uint64_t(1) << i;
        const bool address_moves = writing ? *bus.awvalid && *bus.awready : reading && *bus.arvalid && *bus.arready;
        const bool data_moves = writing && *bus.wvalid && *bus.wready;
        eventful |= moving || address_moves || data_moves;
        const bool ended = writing ? *bus.bvalid && *bus.bready : reading && *bus.rvalid && *bus.rready;
        if (ended) note_response();
        if (running) note_running();
        for (uint64_t left = moving; left; left &= left - 1) {
            Stream& stream = streams[__builtin_ctzll(left)];
            if (!stream.source) move(stream);
        }

        *clk = 1;
#ifdef RISE
        RISE(model);    // every other input has settled: nothing is left to look at but the edge
#else
        model->eval();
#endif
        dump(TICK_NS / 2);
        main_time += TICK_NS;

        for (uint64_t left = moving; left; left &= left - 1) {
            Stream& stream = streams[__builtin_ctzll(left)];
            if (stream.source) { move(stream); changed = true; }
        }
        if (address_moves) { put(writing ? bus.awvalid : bus.arvalid, 0); }
        if (data_moves) put(bus.wvalid, 0);
        if (ended) {
            put(writing ? bus.bready : bus.rready, 0);
            writing = reading = false;
        }
        clocks++;
        return ended;
    }

    uint32_t read_word = 0;
    uint8_t response = 0;

    void note_response() {
        if (reading) std::memcpy(&read_word, bus.rdata, 4);
        response = writing ? *bus.bresp : *bus.rresp;
    }

    void note_running() {
        const bool runs = *running;
        if (runs) {
            running_clocks++;
            if (!ran) intervals.push_back({clocks, clocks});
            else intervals.back().last = clocks;
        }
        ran = runs;
    }

    void offer(bool write, uint64_t address, uint32_t word) {
        std::memcpy(write ? bus.awaddr : bus.araddr, &address, bus.address_bytes);
        if (write) {
            std::memcpy(bus.wdata, &word, 4);
            *bus.wstrb = 0xF;
            *bus.awvalid = *bus.wvalid = *bus.bready = 1;
        } else {
            *bus.arvalid = *bus.rready = 1;
        }
        writing = write;
        reading = !write;
        changed = true;
    }
};

}  // namespace

extern "C" {

Harness* rmd_create(Model* model, uint8_t* clk, uint8_t* rst, uint8_t* running, const BusPort* bus,
                    const StreamPort* streams, uint64_t count) {
    main_time = 0;      // PyVerilator counts evaluations with it
    Harness* harness = new Harness(model);
    harness->clk = clk;
    harness->rst = rst;
    harness->running = running;
    harness->bus = *bus;
    harness->streams.resize(count);
    for (uint64_t i = 0; i < count; i++) static_cast<StreamPort&>(harness->streams[i]) = streams[i];
    return harness;
}

void rmd_destroy(Harness* harness) {
#ifdef TRACED
    if (harness->trace) {
        harness->trace->close();
        delete harness->trace;
    }
#endif
    delete harness;
}

// Reset for `count` clocks; everything queued is forgotten and every counter starts again.
void rmd_reset(Harness* harness, uint64_t count) {
    for (Stream& stream : harness->streams) {
        stream.queue.clear();
        stream.at = stream.pending = stream.moved = 0;
        *(stream.source ? stream.valid : stream.ready) = 0;
    }
    harness->pending = 0;
    BusPort& bus = harness->bus;
    *bus.awvalid = *bus.wvalid = *bus.arvalid = *bus.bready = *bus.rready = 0;
    harness->writing = harness->reading = false;
    *harness->rst = 1;
    harness->changed = true;
    while (count--) harness->clock();
    *harness->rst = 0;
    harness->changed = true;
    harness->clocks = harness->running_clocks = harness->passed = 0;
    harness->ran = false;
    harness->intervals.clear();
}

void rmd_stall(Harness* harness, uint64_t stream, uint64_t threshold, uint64_t seed) {
    harness->streams[stream].stall.threshold = threshold;
    harness->streams[stream].stall.state = seed;
    harness->leaping = true;
    for (const Stream& other : harness->streams) harness->leaping &= !other.stall.threshold;
}

// From now on every clock is simulated by itself.
void rmd_dwell(Harness* harness) { harness->leaping = false; }
uint64_t rmd_passed(const Harness* harness) { return harness->passed; }

// Queue `count` beats: to send from `beats` at a source, to receive into it at a sink. The memory stays the caller's
// and must live until the beats have moved.
void rmd_queue(Harness* harness, uint64_t stream, uint8_t* beats, uint64_t count, uint64_t* clocks, uint8_t* lasts) {
    if (!count) return;
    Stream& to = harness->streams[stream];
    to.queue.push_back({beats, count, clocks, lasts});
    to.pending += count;
    harness->pending += count;
}

// Take back every queued beat that has not moved, as a host does that stops its DMA.
void rmd_withdraw(Harness* harness) {
    for (Stream& stream : harness->streams) {
        stream.queue.clear();
        stream.at = stream.pending = 0;
        *(stream.source ? stream.valid : stream.ready) = 0;
    }
    harness->pending = 0;
    harness->changed = true;
}

uint64_t rmd_pending(const Harness* harness, uint64_t stream) { return harness->streams[stream].pending; }
uint64_t rmd_moved(const Harness* harness, uint64_t stream) { return harness->streams[stream].moved; }
uint64_t rmd_clocks(const Harness* harness) { return harness->clocks; }
uint64_t rmd_running_clocks(const Harness* harness) { return harness->running_clocks; }
uint64_t rmd_interval_count(const Harness* harness) { return harness->intervals.size(); }
const Interval* rmd_intervals(const Harness* harness) { return harness->intervals.data(); }

// Whether the design offers a beat that nobody expects.
int rmd_surplus(const Harness* harness, uint64_t stream) {
    const Stream& at = harness->streams[stream];
    return !at.source && !at.pending && *at.valid;
}

// `count` transfers, one after the other, streams running on beside them; each may take `limit` clocks. Returns how
// many went well; `response` is then 0, or the response of the next one, or 255 where none came.
uint64_t rmd_transfer(Harness* harness, int write, const uint64_t* addresses, uint32_t* words, uint64_t count,
                      uint64_t limit, uint8_t* response) {
    *response = 0;
    for (uint64_t i = 0; i < count; i++) {
        harness->offer(write, addresses[i], words[i]);
        uint64_t left = limit;
        while (!harness->clock())
            if (!--left) { *response = 255; return i; }
        if (harness->response) { *response = harness->response; return i; }
        if (!write) words[i] = harness->read_word;
    }
    return count;
}

// Run until every queued beat has moved and `running` is low; true if that came within `limit` clocks.
int rmd_run(Harness* harness, uint64_t limit) {
    while (limit) {
        harness->clock();
        if (!harness->pending && !(harness->running && *harness->running)) return 1;
        --limit;
        limit -= harness->pass(limit);
    }
    return 0;
}

// Run until the one-bit port at `port` is high; true if that came within `limit` clocks.
int rmd_run_until(Harness* harness, const uint8_t* port, uint64_t limit) {
    while (!*port) {
        if (!limit) return 0;
        harness->clock();
        --limit;
        limit -= harness->pass(limit);
    }
    return 1;
}

void rmd_advance(Harness* harness, uint64_t count) {
    while (count) {
        harness->clock();
        --count;
        count -= harness->pass(count);
    }
}

int rmd_trace([[maybe_unused]] Harness* harness, [[maybe_unused]] const char* file) {
#ifdef TRACED
    harness->trace = new VerilatedVcdC;
    harness->model->trace(harness->trace, 99);
    harness->trace->open(file);
    return harness->trace->isOpen();
#else
    return 0;
#endif
}

}  // extern "C"
