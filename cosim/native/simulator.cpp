// The main program of the cocotb lane: Verilator's model, cocotb behind VPI, and the clock between them.
//
// The clock is the program's own, not a task of cocotb's: a clock in which nobody in Python waits for anything costs
// one evaluation, no call of the interface. A step of time has the regions of IEEE 1800, 4.4, in the order that cocotb
// counts on: what comes at a time, edges of the clock, the design until nothing is left to evaluate, read-only. Who
// waits for a rising edge reads what was there before it, and what is written then is there after it.
//
// Clocks in which nobody was called and nothing but timers would move are passed over at once (leap.h), as far as to the
// next time that somebody waits for.
//
// Runs until cocotb ends it. `--trace` writes dump.vcd, where it was built to. "model.h" is as in harness.cpp.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

#include "model.h"
#include "verilated.h"
#include "verilated_vpi.h"
#ifdef HELD_MEMBERS
#include "leap.h"
#endif

extern "C" void vlog_startup_routines_bootstrap(void);

namespace {

constexpr uint64_t NEVER = ~uint64_t(0);

uint64_t now_ns = 0;
uint64_t half_period_ns = 0;
uint64_t next_edge_ns = NEVER;
bool leaping = true;
uint64_t passed = 0;    // clocks passed over

// Only who is called can write a port, or begin to wait for one.
bool called = true;     // whether anybody was since the last look for clocks to pass over
bool watched = true;    // whether anybody may wait for the clock

#ifdef TRACED
VerilatedVcdC* trace = nullptr;
#endif

template <typename Word>
bool differ(const Word& one, const Word& other) { return one != other; }

template <size_t WORDS>
bool differ(const VlWide<WORDS>& one, const VlWide<WORDS>& other) {
    return !std::equal(one.m_storage, one.m_storage + WORDS, other.m_storage);
}

// The ports but the clock as they were when the last change was told: only ports are there to be waited for.
struct Ports {
#define KEEP(port) std::remove_reference_t<decltype(Model::port)> port{};
    EACH_PORT(KEEP)
#undef KEEP

    // Whether any has changed since; from now on they are as they are now.
    bool changed(const Model& model) {
        clk = model.clk;
        bool differs = false;
#define COMPARE(port) differs |= differ(port, model.port);
        EACH_PORT(COMPARE)
#undef COMPARE
        if (!differs) return false;
#define TAKE(port) port = model.port;
        EACH_PORT(TAKE)
#undef TAKE
        return true;
    }
};

Ports told;

// Notes that somebody was called, if so; whether.
bool note(bool any) {
    called |= any;
    watched |= any;
    return any;
}

// Calls whoever waits for a change, until their answers change nothing more. VPI looks at everything that anybody waits
// for, which costs more than to evaluate the design: so only where there is something to see.
bool call_watchers() {
    bool any = false;
    while (VerilatedVpi::callValueCbs()) any = true;
    return note(any);
}

void tell_changes(const Model& model) {
    if (told.changed(model)) call_watchers();
}

// What those who were called have written.
void take_writes(const Model& model) {
    VerilatedVpi::doInertialPuts();
    tell_changes(model);
}

// Evaluates the design, and lets those who wait answer, until nothing is left to evaluate.
void settle(Model& model) {
    do {
        do {
            model.eval_step();
            VerilatedVpi::clearEvalNeeded();
            take_writes(model);
        } while (VerilatedVpi::evalNeeded());
        if (note(VerilatedVpi::callCbs(cbReadWriteSynch))) take_writes(model);
    } while (VerilatedVpi::evalNeeded());
    model.eval_end_step();
}

// The end of a step of time.
void end_step() {
    note(VerilatedVpi::callCbs(cbReadOnlySynch));
#ifdef TRACED
    if (trace) trace->dump(now_ns);
#endif
}

// One step of time, at `now_ns`.
void step(Model& model) {
    const bool due = VerilatedVpi::cbNextDeadline() <= now_ns;
    if (note(VerilatedVpi::callCbs(cbNextSimTime))) tell_changes(model);
    if (note(due)) {
        VerilatedVpi::callTimedCbs();
        take_writes(model);
    }
    bool idle = false;
    if (now_ns == next_edge_ns) {
        next_edge_ns += half_period_ns;
        model.clk = !model.clk;
        if (watched) watched = call_watchers();
#if defined(CLOCK_BEFORE) && !defined(TRACED)
        idle = !model.clk;      // nothing but the clock has changed since the last step: a fall changes nothing else
        if (idle) CLOCK_BEFORE(&model) = 0;
#endif
    }
    if (!idle || VerilatedVpi::evalNeeded()) settle(model);
    end_step();
}

#ifdef HELD_MEMBERS
// After a step of time: passes over clocks, where it ended with a rising edge.
void pass(const Model& model, Leap& leap) {
    if (!model.clk || now_ns + half_period_ns != next_edge_ns) return;
    const uint64_t period_ns = 2 * half_period_ns, deadline_ns = VerilatedVpi::cbNextDeadline();
    uint64_t count = 0;
    if (called || !leaping) leap.disturb();
    else count = leap.after_clock(deadline_ns > now_ns ? (deadline_ns - now_ns - 1) / period_ns : 0);
    called = false;
    passed += count;
    now_ns += count * period_ns;
    next_edge_ns += count * period_ns;
}
#endif

void wrap_up() {
    VerilatedVpi::callCbs(cbEndOfSimulation);
#ifdef TRACED
    if (trace) trace->close();
#endif
}

}  // namespace

double sc_time_stamp() { return static_cast<double>(now_ns); }

extern "C" {

// Starts the clock: it rises in the next step of time, and every `period_ns` (even) from then on.
void rmd_start_clock(uint64_t period_ns) {
    half_period_ns = period_ns / 2;
    next_edge_ns = now_ns + half_period_ns;
}

// From now on every clock is simulated by itself.
void rmd_dwell() { leaping = false; }
uint64_t rmd_passed() { return passed; }

}  // extern "C"

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    const std::unique_ptr<Model> model(new Model(""));
    Verilated::fatalOnVpiError(false);      // cocotb asks for things that need not be there
#ifdef TRACED
    Verilated::traceEverOn(true);
    if (std::any_of(argv + 1, argv + argc, [](const char* word) { return !std::strcmp(word, "--trace"); })) {
        trace = new VerilatedVcdC;
        model->trace(trace, 99);
        trace->open("dump.vcd");
    }
#endif
    vlog_startup_routines_bootstrap();
    Verilated::addExitCb([](void*) { wrap_up(); }, nullptr);
    VerilatedVpi::callCbs(cbStartOfSimulation);
    tell_changes(*model);
    VerilatedVpi::doInertialPuts();
    settle(*model);
    end_step();
#ifdef HELD_MEMBERS
    Leap leap(model.get());
#endif
    while (!Verilated::gotFinish()) {
        const uint64_t next = std::min<uint64_t>(VerilatedVpi::cbNextDeadline(), next_edge_ns);
        if (next == NEVER) break;
        now_ns = next;
        step(*model);
#ifdef HELD_MEMBERS
        pass(*model, leap);
#endif
    }
    model->final();
    wrap_up();
    return Verilated::threadContextp()->errorCount() > 0;
}
