// The main program of the cocotb lane: Verilator's model, cocotb behind VPI, and the clock between them.
//
// The clock is the program's own, not a task of cocotb's: a clock in which nobody in Python waits for anything costs
// one evaluation, no call of the interface. A step of time has the regions of IEEE 1800, 4.4, in the order that cocotb
// counts on: what comes at a time, edges of the clock, the design until nothing is left to evaluate, read-only. Who
// waits for a rising edge reads what was there before it, and what is written then is there after it.
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

extern "C" void vlog_startup_routines_bootstrap(void);

namespace {

constexpr uint64_t NEVER = ~uint64_t(0);

uint64_t now_ns = 0;
uint64_t half_period_ns = 0;
uint64_t next_edge_ns = NEVER;

#ifdef TRACED
VerilatedVcdC* trace = nullptr;
#endif

template <typename Word>
bool differ(const Word& one, const Word& other) { return one != other; }

template <size_t WORDS>
bool differ(const VlWide<WORDS>& one, const VlWide<WORDS>& other) {
    return !std::equal(one.m_storage, one.m_storage + WORDS, other.m_storage);
}

// The ports as they were when the last change was told: only ports are there to be waited for.
struct Ports {
#define KEEP(port) std::remove_reference_t<decltype(Model::port)> port{};
    EACH_PORT(KEEP)
#undef KEEP

    // Whether any has changed since; from now on they are as they are now.
    bool changed(const Model& model) {
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

// Calls whoever waits for a change, until their answers change nothing more. VPI looks at everything that anybody waits
// for, which costs more than to evaluate the design: so only where there is something to see.
void tell_changes(const Model& model) {
    if (!told.changed(model)) return;
    while (VerilatedVpi::callValueCbs()) {}
}

// Evaluates the design, and lets those who wait answer, until nothing is left to evaluate.
void settle(Model& model) {
    do {
        do {
            model.eval_step();
            VerilatedVpi::clearEvalNeeded();
            VerilatedVpi::doInertialPuts();
            tell_changes(model);
        } while (VerilatedVpi::evalNeeded());
        VerilatedVpi::callCbs(cbReadWriteSynch);
        VerilatedVpi::doInertialPuts();
        tell_changes(model);
    } while (VerilatedVpi::evalNeeded());
    model.eval_end_step();
}

// The end of a step of time.
void end_step() {
    VerilatedVpi::callCbs(cbReadOnlySynch);
#ifdef TRACED
    if (trace) trace->dump(now_ns);
#endif
}

// One step of time, at `now_ns`.
void step(Model& model) {
    VerilatedVpi::callCbs(cbNextSimTime);
    tell_changes(model);
    VerilatedVpi::callTimedCbs();
    tell_changes(model);
    VerilatedVpi::doInertialPuts();
    bool idle = false;
    if (now_ns == next_edge_ns) {
        next_edge_ns += half_period_ns;
        model.clk = !model.clk;
        tell_changes(model);
#if defined(CLOCK_BEFORE) && !defined(TRACED)
        idle = !model.clk;      // nothing but the clock has changed since the last step: a fall changes nothing else
        if (idle) CLOCK_BEFORE(&model) = 0;
#endif
    }
    if (!idle || VerilatedVpi::evalNeeded()) settle(model);
    end_step();
}

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
    while (!Verilated::gotFinish()) {
        const uint64_t next = std::min<uint64_t>(VerilatedVpi::cbNextDeadline(), next_edge_ns);
        if (next == NEVER) break;
        now_ns = next;
        step(*model);
    }
    model->final();
    wrap_up();
    return Verilated::threadContextp()->errorCount() > 0;
}
