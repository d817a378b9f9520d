"""The bench of the array beside other simulators: who is measured, who is not and why, and that answers are checked."""

import pytest
from rmdlora.cosim.measure.array import INSTALL, measure_array

FAKE = """
class Anything:
    def __getattr__(self, name):
        self.__dict__[name] = Anything()
        return self.__dict__[name]
class CrossSimParameters(Anything):
    pass
class AnalogCore:
    def __init__(self, matrix, parameters):
        self.matrix = matrix
    def matmat(self, vectors):
        return {share} * self.matrix @ vectors
"""


@pytest.mark.parametrize("share, words", [(1.0, None), (0.9, "ArithmeticError: its answers are off by 10.0 % of the")])
def test_a_simulator_is_measured_only_where_its_answers_are_the_products(tmp_path, monkeypatch, share, words):
    (tmp_path / "simulator").mkdir()
    (tmp_path / "simulator" / "__init__.py").write_text(FAKE.format(share=share))
    monkeypatch.setenv("RMDLORA_CROSSSIM", str(tmp_path))
    figures, missing = measure_array(rounds=1, names=("rmdlora-numpy", "crosssim"))
    assert figures["vmm_per_second_rmdlora-numpy_ideal"] > figures["vmm_per_second_rmdlora-numpy_noisy"] > 0
    assert figures["vmm_ratio_ideal"] is None       # of the kernel, which was not asked for
    if words:
        assert missing["crosssim"].startswith(words) and "vmm_per_second_crosssim_ideal" not in figures
    else:
        assert missing == {} and figures["vmm_best_peer_noisy"] == "crosssim"
        assert figures["vmm_per_second_crosssim_ideal"] > 0


def test_a_peer_that_is_not_there_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RMDLORA_CROSSSIM", str(tmp_path))
    (tmp_path / "simulator.py").write_text("raise ImportError('not today')")
    figures, missing = measure_array(rounds=1, names=("crosssim",))
    assert missing == {"crosssim": "ImportError: not today"} and "crosssim" in INSTALL
    assert figures["vmm_ratio_ideal"] is None and figures["vmm_ratio_noisy"] is None
