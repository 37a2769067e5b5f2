import pytest

from tenfold.errors import ConfigError
from tenfold.observe.cost import Tariff


def test_an_hour_and_a_kilowatt_hour_cost_what_the_tariff_says():
    tariff = Tariff(usd_per_machine_hour=2.0, usd_per_kwh=0.25, gco2e_per_kwh=400.0, pue=1.5)
    assert tariff.usd(3600.0, 0.0) == 2.0
    assert tariff.usd(0.0, 3.6e6) == pytest.approx(0.375)
    assert tariff.gco2e(3.6e6) == pytest.approx(600.0)


def test_the_default_does_not_bill_electricity_twice():
    assert Tariff().usd(0.0, 1e9) == 0.0
    assert Tariff().gco2e(1e9) > 0.0


@pytest.mark.parametrize(
    "wrong", [{"pue": 0.9}, {"usd_per_kwh": -0.1}, {"gco2e_per_kwh": float("nan")}]
)
def test_impossible_tariffs_are_refused(wrong):
    with pytest.raises(ConfigError, match="tariff"):
        Tariff(**wrong)
