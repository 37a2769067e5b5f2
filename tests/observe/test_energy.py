import os
import time

import pytest

from tenfold.errors import ConfigError
from tenfold.observe.energy import MachinePower, open_meter

NOWHERE_POWER = MachinePower(idle_watts_per_core=1.0, active_watts_per_core=10.0, num_cores=2)


def burn(cpu_s):
    start = time.process_time()
    while time.process_time() - start < cpu_s:
        pass


@pytest.fixture
def powercap(tmp_path):
    """The layout of /sys/class/powercap on a machine with one package, its cores, memory and psys."""

    def domain(folder, name, uj, span=262_143_328_850):
        path = tmp_path / folder
        path.mkdir()
        (path / "name").write_text(name + "\n")
        (path / "max_energy_range_uj").write_text(f"{span}\n")
        (path / "energy_uj").write_text(f"{uj}\n")
        return path / "energy_uj"

    return domain


def test_the_model_is_watts_times_seconds(tmp_path):
    meter = open_meter(power=NOWHERE_POWER, powercap=tmp_path)
    burn(0.2)
    reading = meter.read()
    assert reading.method == "cpu-time-model"
    assert reading.uncertainty == 0.4
    assert reading.idle_joules == pytest.approx(2.0 * reading.wall_s, abs=1e-6)
    assert reading.joules - reading.idle_joules == pytest.approx(10.0 * reading.cpu_s, abs=1e-5)
    assert reading.cpu_s >= 0.15


def test_readings_never_go_back_and_their_differences_are_exact_steps(tmp_path):
    meter = open_meter(power=NOWHERE_POWER, powercap=tmp_path)
    last = meter.read()
    for _ in range(50):
        now = meter.read()
        assert now.joules >= last.joules
        assert now.idle_joules >= last.idle_joules
        assert ((now.joules - last.joules) * 2**20).is_integer()
        last = now


def test_rapl_counts_packages_and_memory_once_and_survives_a_wrap(powercap, tmp_path):
    package = powercap("intel-rapl:0", "package-0", 262_143_000_000)
    powercap("intel-rapl:0:0", "core", 5_000_000)
    memory = powercap("intel-rapl:0:1", "dram", 1_000_000)
    psys = powercap("intel-rapl:1", "psys", 9_000_000)
    power = MachinePower(idle_watts_per_core=0.0)
    meter = open_meter(power=power, powercap=tmp_path)
    burn(0.3)
    package.write_text(f"{3_000_000 - 328_850}\n")  # past the end of its range: 3.0 J further
    memory.write_text("2000000\n")  # 1 J
    psys.write_text("99000000\n")
    reading = meter.read()
    assert reading.method == "rapl"
    # Other processes share the machine, so ours is a part of the 4 J, and the idle part was set to 0.
    assert 0 < reading.joules <= 4.0
    assert reading.idle_joules == 0.0


def test_an_idle_machine_bills_its_idle_draw_and_no_more_than_was_measured(powercap, tmp_path):
    package = powercap("intel-rapl:0", "package-0", 0)
    power = MachinePower(idle_watts_per_core=1e6, num_cores=1)
    meter = open_meter(power=power, powercap=tmp_path)
    time.sleep(0.02)
    package.write_text("2500000\n")
    reading = meter.read()
    assert reading.joules == reading.idle_joules == 2.5


def test_a_counter_reserved_for_root_falls_back_to_the_model(powercap, tmp_path):
    counter = powercap("intel-rapl:0", "package-0", 0)
    counter.unlink()
    counter.mkdir()  # unreadable even for root, which a mode of 0 is not
    assert open_meter(powercap=tmp_path).method == "cpu-time-model"


def test_the_idle_draw_is_that_of_the_cores_we_may_use():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert MachinePower(idle_watts_per_core=2.0).idle_watts == 2.0 * cores


@pytest.mark.parametrize(
    "wrong",
    [{"idle_watts_per_core": -1.0}, {"active_watts_per_core": float("nan")}, {"num_cores": 0}],
)
def test_impossible_power_is_refused(wrong):
    with pytest.raises(ConfigError, match="power"):
        MachinePower(**wrong)
