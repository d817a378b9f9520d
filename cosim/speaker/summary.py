"""What the speaker task found, over the seeds: figures, tables and the parts of the page."""

from rmdlora.golden.costs import SPEAKER_PARAMETERS, published_ratios
from rmdlora.golden.speaker.network import ADAPTED, HIDDEN
from rmdlora.golden.speaker.recipe import FORGET, LEARNED, NEW, RANK

from ..drawing import STAGES, draw_adapters, draw_costs, look
from ..ledger import Workload, cost_grid, count_hybrid, count_reprogrammed, event_grid, ratio_grid
from ..outcome import Grid, Outcome, Section, over_seeds, percent, target
from .pictures import draw_accuracy, draw_confusion, draw_noise, draw_spikes, share_by_speaker
from .stages import judge

__all__ = ["gather"]

RULE = (
    "Selection rule: the last 4 of a speaker's 20 takes of each digit are for test, whatever the seed; 3 of the "
    "others, drawn by the seed, for validation. Every length and rate of the recipe was set on validation clips of "
    "seeds 0 to 3, the jitter of counts on takes 14 to 16 held out from a training on the 13 before; how else clips "
    "are varied, and how the sixth row is drawn, in rehearsals of the task on the first 16 takes (see "
    "cosim/speaker/choose.py: eight to train, six others to judge). Each training runs its fixed number of updates and "
    "its last state is taken. So no epoch, threshold or seed was chosen on a test clip.")
HEARD = (
    "Spikes are counts of a plain mel filter bank over clips of the Free Spoken Digit Dataset (CC BY-SA 4.0), each "
    "relative to its own peak; the published figures are of Spiking Speech Commands and do not compare.")
COMPARED = (
    "Bars: the integer network on the array with all its noise, adapters trained by the hardware's own update. "
    "Circles: its float twin, the same cells and adapters with nothing rounded.")
TRAINED = (
    f"Codes of both adapters at the end, r = {RANK} each. The first one was frozen when the second was trained beside "
    "it; the network is the sum of both.")
SWEPT = (
    "Every cell lands at its target plus a normal error of this size, and gains and offsets are calibrated on it. "
    "Adapters that learned on other cells are those of the table above; the others learned, unlearned and enrolled on "
    "the cells as they landed.")
COSTED = (
    "Counted for the recipe as it ran: words, products and cycles as the gateware makes them. Full reprogramming is "
    "counted, not run: the pulses are those that programming this network took, which every cell would take again. "
    "Board parts and the projection to 180 nm stand in columns of their own and are never added.",
    "Bars are logarithmic, six decades long; nothing at 0.")
RETAINED_WITHIN = 0.02
NAMES = {"learned": "learned, five speakers", "retained_before": "of these, the four to retain",
         "forgotten_after_unlearning": "forgotten, after unlearning",
         "retained_after_unlearning": "retained, after unlearning",
         "forgotten_after_continual": "forgotten, after enrolling",
         "retained_after_continual": "retained, after enrolling", "new": "new speaker"}
COLUMNS = {"hybrid": "hardware's\nupdate", "float": "its float\ntwin", "optimiser": "Adam"}


def gather(kinds, moved, taught, agreements, missing, recipe, options, clips, chip=None):
    """The `Outcome` of the runs {kind: one a seed}, of the shares against noise (as `pictures.draw_noise`), of the
    published networks' agreements and the lines about those ``missing``, and of the `Chip` where there was one."""
    hybrid = kinds["hybrid"]
    shares = {kind: over_seeds([judge(run.outputs, run.speaker) for run in runs]) for kind, runs in kinds.items()}
    shares["float"] = over_seeds([judge(run.twins, run.speaker) for run in hybrid])
    figures = dict(shares["hybrid"])
    figures |= {f"{kind}_{name}": value for kind in ("float", "optimiser") for name, value in shares[kind].items()}
    figures |= over_seeds([{"learned_before_mapping": named_right(run)} for run in hybrid])
    writes = [run.pulses["unlearn"] + run.pulses["continual"] for run in hybrid]
    figures |= {"rm_writes": sum(writes) / len(writes), "rm_writes_seeds": writes,
                "rm_writes_counted_by": "the array model, all cells, unlearning and enrolling",
                "seeds": len(hybrid), "device": options.device, "data_source": clips.source, "selection_rule": RULE}
    for kind, found in (("moved", moved), ("taught", taught)):
        for sigma, each in found.items():
            figures |= {f"noise_{sigma:g}us_{kind}": sum(each) / len(each), f"noise_{sigma:g}us_{kind}_seeds": each}
    for found in agreements:
        figures |= {f"published_{found.name}_sigma{found.sigma_us}_spikes": found.spikes,
                    f"published_{found.name}_sigma{found.sigma_us}_answers": found.answers}
    costs = count_costs(hybrid, recipe)
    figures |= {f"cost_{stage}_{kind}_{name}": value for (stage, kind), given in costs.items()
                for name, value in given.items()}
    figures |= {f"paper_{ratio.name.replace(': ', '_').replace(', ', '_').replace(' ', '_')}_recomputed": ratio.real
                for ratio in published_ratios() if "speaker" in ratio.name}
    troubles, lines = (), [RULE, HEARD, *missing]
    if chip:
        figures |= chip_figures(chip)
        lines, troubles = [*lines, chip_line(figures)], tuple(chip.troubles)
    grids = (share_grid(figures, shares), cost_grid(costs, "enrol"), *published_grids(agreements))
    headlines = (*((NAMES[name], percent(figures[name])) for name in (
        "learned", "forgotten_after_continual", "retained_after_continual", "new")),
        ("programming pulses in unlearning and enrolling", f"{figures['rm_writes']:g}"))
    lead = (f"{clips.source}. Array: preset {options.device}, {len(hybrid)} seed{'s' if len(hybrid) > 1 else ''}. "
            "Weights are programmed once; all that follows happens in adapters.")
    return Outcome("Voices: learn, forget, enrol", lead, figures, grids, tuple(lines), headlines,
                   draw_sections(hybrid, moved, taught, costs, grids, clips, lines), troubles)


def named_right(run):
    """Share of the learned speakers' test clips that the float network names right, as it was before it was mapped."""
    learned = run.speaker < LEARNED
    return float((run.floats.argmax(dim=1) == run.speaker)[learned].double().mean())


def draw_sections(hybrid, moved, taught, costs, grids, clips, lines):
    """The parts of the page."""
    with look():
        sections = [
            Section("What became of whom", (HEARD, COMPARED), (grids[0], speaker_grid(hybrid, clips)),
                    ((draw_accuracy(hybrid, clips.names),), (draw_confusion(hybrid),),
                     (draw_spikes(hybrid[0], clips.names),))),
            Section("What was learned", (TRAINED,), (), ((draw_adapters(hybrid[0].networks["continual"]),),)),
            Section("Noise", (SWEPT,), (), ((draw_noise(moved, taught),),))]
        bars = [(f"{stage}: {what}", costs[stage, "hybrid"][name], costs[stage, "reprogrammed"][name])
                for stage in ("unlearn", "continual")
                for what, name in (("parameters trained", "trainable"), ("programming pulses", "rm_pulses"),
                                   ("energy to write the result, 180 nm projection, J", "deploy_joules_chip"))]
        sections.append(Section("Costs, counted", COSTED, (grids[1], event_grid(), ratio_grid()),
                                ((draw_costs(bars),),)))
    if grids[2:]:
        sections.append(Section("The published network", (), grids[2:]))
    return (*sections, Section("Rule and checks", tuple(lines)))


def share_grid(figures, shares):
    """The table of accuracies."""
    rows = [[NAMES[name], target(name, figures, RETAINED_WITHIN), *(percent(shares[kind][name]) for kind in COLUMNS)]
            for name in NAMES]
    return Grid(f"share of test clips whose speaker was named right, mean of {figures['seeds']} seeds",
                ("", "target", *COLUMNS.values()), rows)


def speaker_grid(runs, clips):
    """Test accuracy of every speaker after every stage, all seeds together."""
    columns = [share_by_speaker(runs, stage) for stage in STAGES]
    rows = []
    for speaker, name in enumerate(clips.names):
        role = " (forgotten)" if speaker == FORGET else " (new)" if speaker == NEW else ""
        rows.append([f"{name}{role}", *(percent(column[speaker]) for column in columns)])
    return Grid("test accuracy by speaker", ("", "learned", "after unlearning", "after enrolling"), rows)


def published_grids(agreements):
    """The table of the published networks, where there are any."""
    if agreements:
        yield Grid("the published network in integers against its float twin, by spread of the cells",
                   ("network", "spread, uS", "spikes equal", "of them fired", "answers equal"),
                   [[found.name, f"{found.sigma_us}", f"{100 * found.spikes:.2f} %", percent(found.fired),
                     percent(found.answers)] for found in agreements])


def count_costs(runs, recipe):
    """``{(stage, kind): counts}`` of adapters and of full reprogramming."""
    configuration, network = runs[0].machine.configuration, runs[0].network
    calls = {name: runs[0].data.clips.counts.shape[1] for name in ADAPTED}
    stages = ("unlearn", "continual")
    workload = Workload(network.shapes, dict.fromkeys(network.shapes, 1), dict.fromkeys(stages, ADAPTED),
                        dict.fromkeys(stages, RANK), calls)
    pulses = sum(run.pulses["learn"] for run in runs) // len(runs)
    costs = {}
    for stage, parameters in (("unlearn", SPEAKER_PARAMETERS), ("continual", SPEAKER_PARAMETERS + HIDDEN + 1)):
        costs[stage, "hybrid"] = count_hybrid(configuration, workload, stage, getattr(recipe, f"{stage}_steps"),
                                              recipe.batch)
        costs[stage, "reprogrammed"] = count_reprogrammed(configuration, workload, parameters, pulses)
    return costs


def chip_figures(chip):
    """What the chip counted and what was compared, flat."""
    heard = chip.counts["utterances"]
    return {"rm_writes": chip.rm_writes, "rm_writes_counted_by": "PULSES of the RTL, after programming",
            "rtl_programming_pulses": chip.counts["programming"]["pulses"],
            "rtl_codes_compared": sum(chip.compared.values()), "rtl_differences": len(chip.troubles),
            "rtl_clocks": heard["simulated"], "rtl_tile_reads": heard["tile_reads"]}


def chip_line(figures):
    """The same in words."""
    return (f"on the RTL: {figures['rtl_codes_compared']:,} codes compared, {figures['rtl_differences']} troubles; "
            f"{figures['rtl_tile_reads']:,} tile reads in {figures['rtl_clocks']:,} clocks; "
            f"{figures['rtl_programming_pulses']} pulses in programming, {figures['rm_writes']} after it")
