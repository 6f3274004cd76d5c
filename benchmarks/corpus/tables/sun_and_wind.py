"""Solar and wind energy, evapotranspiration: pvlib, windpowerlib, refet, pyfao56."""
from ..cases import array, case

IRRADIANCE = array(310.0, 640.0, 905.0)
CELL = array(31.0, 44.0, 57.0)
ZENITH = array(23.0, 47.0, 68.0)
WIND = array(2.4, 5.1, 8.3)
SUN = (30.0, 175.0, 47.0, 150.0)
DIODE = (6.1, 3.2e-10, 0.31, 310.0, 1.47)
INVERTER = {"C0": -3e-6, "C1": -9e-5, "C2": 7e-4, "C3": -2e-4, "Paco": 5000.0, "Pdco": 5180.0,
            "Vdco": 310.0, "Pso": 31.0, "Pnt": 1.2}
SPEEDS = array(0.0, 3.0, 6.0, 9.0, 12.0, 25.0)
POWERS = array(0.0, 40.0, 310.0, 990.0, 1500.0, 1500.0)

CASES = [
    case("pvlib.irradiance", "aoi", *SUN, wrt=2),
    case("pvlib.irradiance", "aoi_projection", 30.0, 175.0, ZENITH, 150.0, wrt=2),
    case("pvlib.irradiance", "haydavies", 30.0, 175.0, 120.0, 640.0, 1360.0, 47.0, 150.0, wrt=2),
    case("pvlib.irradiance", "perez", 30.0, 175.0, 120.0, 640.0, 1360.0, 47.0, 150.0, 1.46, wrt=2),
    case("pvlib.irradiance", "klucher", 30.0, 175.0, 120.0, 520.0, 47.0, 150.0, wrt=3),
    case("pvlib.irradiance", "erbs_driesse", IRRADIANCE, ZENITH, dni_extra=1360.0, pick="dhi"),
    case("pvlib.irradiance", "clearness_index", IRRADIANCE, ZENITH, 1360.0, wrt=1),
    case("pvlib.irradiance", "campbell_norman", ZENITH, 0.72, pick="ghi"),
    case("pvlib.atmosphere", "get_relative_airmass", ZENITH),
    case("pvlib.atmosphere", "alt2pres", 1250.0),
    case("pvlib.atmosphere", "gueymard94_pw", CELL, 45.0),
    case("pvlib.atmosphere", "tdew_from_rh", CELL, 45.0, wrt=1),
    case("pvlib.iam", "ashrae", ZENITH),
    case("pvlib.iam", "physical", ZENITH),
    case("pvlib.iam", "physical", ZENITH, 1.526, wrt=1),
    case("pvlib.iam", "martin_ruiz", ZENITH, 0.16, wrt=1),
    case("pvlib.temperature", "sapm_cell", IRRADIANCE, 18.0, WIND, -3.56, -0.075, 3.0, wrt=2),
    case("pvlib.temperature", "faiman_rad", IRRADIANCE, 18.0, WIND, 310.0),
    case("pvlib.temperature", "noct_sam", IRRADIANCE, 18.0, WIND, 45.0, 0.17),
    case("pvlib.pvsystem", "pvwatts_dc", IRRADIANCE, CELL, 5000.0, -0.0037, wrt=1),
    case("pvlib.pvsystem", "calcparams_desoto", IRRADIANCE, CELL, 0.003, 1.47, 6.1, 3.2e-10, 310.0,
         0.31, wrt=1, pick=1),
    case("pvlib.pvsystem", "i_from_v", array(20.0, 31.0), *DIODE),
    case("pvlib.pvsystem", "i_from_v", 31.0, *DIODE, method="newton", note="newton"),
    case("pvlib.singlediode", "bishop88", array(21.0, 33.0), *DIODE, pick=2),
    case("pvlib.pvarray", "huld", IRRADIANCE, CELL, 5000.0, cell_type="csi"),
    case("pvlib.inverter", "sandia", 305.0, array(900.0, 3100.0), INVERTER, wrt=1),
    case("pvlib.inverter", "pvwatts", array(900.0, 3100.0), 5000.0),
    case("pvlib.clearsky", "simplified_solis", array(24.0, 51.0), 0.13, 1.7, wrt=1, pick="dni"),
    case("pvlib.clearsky", "ineichen", array(24.0, 51.0), array(1.9, 1.3), 3.1, wrt=1, pick="ghi"),
    case("pvlib.clearsky", "bird", array(24.0, 51.0), array(1.1, 1.6), 0.15, 0.1, 1.5, pick="ghi"),
    case("pvlib.shading", "masking_angle", 30.0, 0.45, 0.7),
    case("pvlib.solarposition", "solar_zenith_analytical", 0.73, 0.41, 0.22),
    case("pvlib.solarposition", "equation_of_time_spencer71", array(47.0, 211.0)),
    case("pvlib.spectrum", "spectral_factor_firstsolar", 1.7, 1.46, "cdte"),
    case("pvlib.tracking", "singleaxis", array(24.0, 51.0), array(110.0, 230.0),
         pick="tracker_theta"),
    case("pvlib.bifacial.utils", "vf_row_sky_2d", 30.0, 0.45, 0.3),
    case("windpowerlib.wind_speed", "hellman", WIND, 10.0, 98.0, hellman_exponent=0.14),
    case("windpowerlib.wind_speed", "logarithmic_profile", WIND, 10.0, 98.0, 0.15, wrt=3),
    case("windpowerlib.density", "barometric", 101125.0, 0.0, 98.0, 281.0, wrt=3),
    case("windpowerlib.density", "ideal_gas", 101125.0, 0.0, 98.0, 281.0),
    case("windpowerlib.power_output", "power_coefficient_curve", WIND, SPEEDS,
         array(0.1, 0.28, 0.41, 0.44, 0.3, 0.05), 90.0, 1.2),
    case("windpowerlib.power_output", "power_curve", WIND, SPEEDS, POWERS),
    case("windpowerlib.tools", "gauss_distribution", WIND, 1.4, 4.0),
    case("refet.calcs", "sat_vapor_pressure", array(18.0, 31.0)),
    case("refet.calcs", "ra_daily", array(0.7), array(182.0)),
    case("refet.calcs", "etsz", 12.3, 0.4, 21.0, 2.2, 1.1, 0.13, 0.066, 900.0, 0.34, wrt=2),
    case("refet.calcs", "rso_hourly", array(2.9), array(1.4), array(97.0), array(182.0),
         array(18.3), array(0.7), array(-1.9), wrt=1),
    case("refet.calcs", "fcd_daily", array(18.2), array(27.3)),
    case("pyfao56.refet", "ascedaily", "S", 310.0, 40.4, 182.0, 21.3, 31.0, 14.2, tdew=11.3,
         wndsp=2.2, wrt=5),
]
