"""What a task costs: events counted one by one, an energy for each, and the published ratios worked out again.

`EVENTS` is the table of energies. It has two columns that are never added to one another: *board*, the parts of the
board by their data sheets, and *chip*, a projection to 180 nm. Digital work has no board figure: an FPGA's share per
operation was not measured. Energies of the processor (norms, activations, losses) are in neither.

`published_ratios` gives every ratio of arXiv 2601.10037 with the arithmetic that leads to it and what real counts give.
"""

import dataclasses

__all__ = ["EVENTS", "Event", "Ratio", "adapter_words", "conversions", "energies", "published_ratios",
           "training_cycles"]

RM_WRITE_OVER_SRAM_WRITE = 2.53293      # the one constant that all four published write ratios contain


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that is counted: ``board_pj`` and ``chip_pj``, its energy in pJ (None: not known), with ``source``."""

    name: str
    board_pj: float | None
    chip_pj: float | None
    source: str


EVENTS = {event.name: event for event in (
    Event("adc_conversion", 60_000.0, 1_640.0,
          "board: ADS8324, 3.0 mW at 50 kSPS (data sheet); chip: SAR, 100 fJ a step (50 to 200 published) x 2**14"),
    Event("stage_sample", 101_000.0, 0.0,
          "board: OPA4322, 1.5 mA x 3.3 V a channel (data sheet) for a conversion of 20.16 us; chip: as the ADC's"),
    Event("dac_update", 33_000.0, 5.0,
          "board: DAC80508, 0.6 mA x 5.5 V a channel for 10 us (general knowledge); chip: 8-bit DAC, 1 to 10 pJ"),
    Event("cell_read", 36.3, 0.18,
          "V V G t of a cell at 45 uS under 0.2 V; board: for a conversion of 20.16 us; chip: 100 ns"),
    Event("rm_pulse", 400.0, 20.0,
          "V V G t at 2 V and 50 uS; board: 2 us, the schedule's width; chip: 100 ns. Without the access transistor"),
    Event("sram_word", None, 40.0,
          "a write or a read of 16 bits: Horowitz ISSCC 2014, 8 KB at 45 nm, 0.156 pJ a bit, x 16 to 180 nm (right to "
          "a factor of 2 to 3)"),
    Event("product", None, 14.1,
          "16-bit multiply and 32-bit add: the same source, 0.88 pJ at 45 nm, x 16"))}


def energies(counts):
    """``{"board": joules, "chip": joules}`` of ``counts`` {event: how many}."""
    return {"board": 1e-12 * sum(count * (EVENTS[name].board_pj or 0.0) for name, count in counts.items()),
            "chip": 1e-12 * sum(count * (EVENTS[name].chip_pj or 0.0) for name, count in counts.items())}


def adapter_words(shapes, rank):
    """Words of an adapter of ``rank`` on layers of ``shapes``, (d, k) each: its trainable parameters."""
    return sum(rank * (outputs + inputs) for outputs, inputs in shapes)


def conversions(configuration, outputs, inputs, vectors):
    """``(times that the ADCs convert, all at once; samples of single ADCs that are used; tile reads)`` of a layer."""
    adcs = configuration.board.adcs(configuration.geometry.tile_columns)
    per_output = 2 if configuration.crossbar.mapping == "differential" else 1
    rows, times, samples, tiles = configuration.row_tiles(inputs), 0, 0, configuration.column_tiles(outputs)
    for tile in range(tiles):
        used = per_output * min(configuration.tile_outputs, outputs - tile * configuration.tile_outputs)
        used = used if per_output == 2 else configuration.geometry.tile_columns     # the reference column is the last
        times += -(-used // adcs)
        samples += used
    return vectors * rows * times, vectors * rows * samples, vectors * rows * tiles


def training_cycles(configuration, shapes, vectors, rank, updates):
    """``(forward, backward, update)`` cycles of the LoRA unit for ``updates`` mini-batches, each of ``vectors``
    {name: n} on the layers ``shapes`` {name: (d, k)}: as the contract counts them, and as the chip's counters do."""
    total = [0, 0, 0]
    for name, (outputs, inputs) in shapes.items():
        cycles = configuration.pipeline.run(vectors[name], inputs, outputs, rank, batch=vectors[name])
        total = [sum(pair) for pair in zip(total, cycles, strict=True)]
    return tuple(updates * count for count in total)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A published ratio: its ``paper`` value, the ``arithmetic`` that gives it and its ``value``; the ``counted``
    arithmetic from real counts and its ``real`` value; a ``remark`` where they part."""

    name: str
    paper: float
    arithmetic: str
    value: float
    counted: str
    real: float
    remark: str = ""


FACE_ADAPTED = 2 * [(32, 20), (20, 32)] + [(6, 20)]     # (d, k) of the layers with adapters
SPEAKER_ADAPTED = [(512, 140), (512, 512)]
IMAGE_ADAPTED = 12 * [(3072, 768), (768, 3072)]
FACE_PARAMETERS = 20 * 16 + 2 * (2 * 32 * 16 + 2 * 32 * 20) + 6 * 20 + 5 * 20       # weights, and gains of the norms
SPEAKER_PARAMETERS = 512 * 141 + 512 * 513 + 5 * 513                                # with biases
IMAGE_PARAMETERS = 12 * (2 * 3072 * 768 + 3072 + 768)                               # of the fully connected layers


def published_ratios():
    """The eight `Ratio` of the paper: parameters trained (full / adapter), and energy of writing them."""
    face6, face8 = adapter_words(FACE_ADAPTED, 6), adapter_words(FACE_ADAPTED, 8)
    speaker, image = adapter_words(SPEAKER_ADAPTED, 8), adapter_words(IMAGE_ADAPTED, 4)
    c = RM_WRITE_OVER_SRAM_WRITE
    slip = "51.5 K is ten times the 5.15 K parameters of the released model"
    tasks = (("face, unlearning", 36.68, 92.91, "51.50 K / 1.404 K", 51.5 / 1.404, 51.5 / 1.404, FACE_PARAMETERS, face6,
              slip),
             ("face, continual", 27.51, 69.68, "51.50 K / 1.872 K", 51.5 / 1.872, 51.5 / 1.872, FACE_PARAMETERS, face8,
              slip),
             ("speaker, both", 25.16, 63.74, "337.4 K / 13.408 K", 337.4 / 13.408, 337.4 / 13.408, SPEAKER_PARAMETERS,
              speaker, "reproduced; a new read-out row of 513 more is trained by neither side and counted by none"),
             ("image, both", 147.76, 387.95, "54.67 M / 0.37 M", 54.67 / 0.37, 56.67 / 0.37, IMAGE_PARAMETERS, image,
              "54.67 M is a slip of 56.67 M, which the paper's own ratio of writes uses"))
    ratios = []
    for name, trained, written, arithmetic, value, for_writes, full, adapter, remark in tasks:
        ratios.append(Ratio(f"parameters trained: {name}", trained, arithmetic, value, f"{full:,} / {adapter:,}",
                            full / adapter, remark))
        ratios.append(Ratio(f"energy of writing: {name}", written, f"{for_writes:.4f} x {c}", for_writes * c,
                            f"{full:,} / {adapter:,} x {c}", full / adapter * c,
                            f"{c} (one RM write over one SRAM write) is in all four and derived nowhere"))
    return ratios
