// Plays pin changes into the board's model and writes down what it answers; linked into the model by pin_bench.py.
#include <cstddef>
#include <cstdint>

#include "model.h"

struct Change {
    uint64_t tick;
    uint8_t *pin;
    uint64_t value;
    uint64_t bytes;
};

// Runs ``ticks`` clocks. A change takes place after the rising edge of its tick, as a flip-flop's output would.
// ``answers`` [ticks][watched]: the first byte of each watched port, after the edge.
extern "C" void pin_player(Model *model, const Change *change, uint64_t changes, uint64_t ticks,
                           const uint8_t *const *watched, uint64_t count, uint8_t *answers) {
    const Change *end = change + changes;
    for (uint64_t tick = 0; tick < ticks; tick++) {
        model->clk = 1;
        model->eval();
        for (; change != end && change->tick == tick; change++)
            for (uint64_t byte = 0; byte < change->bytes; byte++) change->pin[byte] = uint8_t(change->value >> (8 * byte));
        model->clk = 0;
        model->eval();
        for (uint64_t port = 0; port < count; port++) *answers++ = *watched[port];
    }
}
