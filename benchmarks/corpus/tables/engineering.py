"""Engineering formulas on Python floats (fluids, heat, chemicals), and control."""
import numpy as np

from ..cases import array, case

A = array([0.6, 0.2], [-0.1, 0.5])
B = array([1.0], [0.4])
SPD = array([2.0, 0.3], [0.3, 0.7])

CASES = [
    case("fluids.friction", "Colebrook", 1.2e5, 2.3e-4),
    case("fluids.friction", "friction_factor", 1.2e5, 2.3e-4, wrt=1),
    case("fluids.friction", "Haaland", 1.2e5, 2.3e-4),
    case("fluids.friction", "friction_factor_curved", 1.2e5, 0.02, 0.5),
    case("fluids.drag", "drag_sphere", 240.0),
    case("fluids.drag", "v_terminal", 7.1e-4, 2600.0, 1000.0, 1.1e-3),
    case("fluids.two_phase", "Friedel", 0.6, 0.1, 915.0, 2.67, 1.8e-4, 1.4e-5, 0.0487, 0.05, wrt=1),
    case("fluids.flow_meter", "C_Reader_Harris_Gallagher", 0.0739, 0.05, 1.17, 1.9e-5, 0.124),
    case("fluids.atmosphere", "ATMOSPHERE_1976", 5300.0, pick=".rho"),
    case("fluids.fittings", "contraction_round", 1.0, 0.4, 0.04, wrt=2),
    case("fluids.compressible", "isothermal_gas", 11.3, 0.00185, P1=1e6, P2=9e5, L=1000.0, D=0.5),
    case("fluids.geometry", "V_horiz_conical", 2.7, 5.4, 1.1, 0.9, wrt=3),
    case("ht.conv_internal", "turbulent_Gnielinski", 1.2e5, 1.2, 0.0185),
    case("ht.conv_internal", "laminar_entry_Baehr_Stephan", 1200.0, 0.7, 5.0, 0.02),
    case("ht.conv_free_immersed", "Nu_vertical_plate_Churchill", 0.69, 2.63e9, wrt=1),
    case("ht.hx", "effectiveness_from_NTU", 4.7, 0.31, subtype="counterflow"),
    case("ht.core", "LMTD", 100.0, 60.0, 30.0, 40.2),
    case("ht.radiation", "blackbody_spectral_radiance", 800.0, 4e-6),
    case("ht.boiling_nucleic", "Cooper", 9.3, 101325.0, 2.2e7, 18.02, wrt=1),
    case("chemicals.vapor_pressure", "Wagner", 100.0, 190.53, 4596420.0, -6.00435, 1.1885,
         -0.834082, -1.22833),
    case("chemicals.vapor_pressure", "Psat_IAPWS", 420.0),
    case("chemicals.viscosity", "mu_IAPWS", 298.15, 998.0),
    case("chemicals.viscosity", "Lucas_gas", 550.0, 512.6, 80.9e5, 0.224, 32.042, 1.7),
    case("chemicals.viscosity", "Wilke", [0.05, 0.95], [1.34e-5, 9.5e-6], [64.06, 46.07], wrt=1),
    case("chemicals.thermal_conductivity", "Chung", 300.0, 72.151, 469.6, 0.251, 135.9, 8.77e-6),
    case("chemicals.rachford_rice", "Rachford_Rice_flash_error", 0.43, [0.5, 0.3, 0.2],
         [1.685, 0.742, 0.532], wrt=2),
    case("chemicals.heat_capacity", "Poling", 350.0, 4.347, -0.017, 9.6e-5, -1.1e-7, 4.1e-11),
    case("chemicals.dippr", "EQ107", 300.0, 33363.0, 26790.0, 2610.5, 8896.0, 1169.0),
    case("chemicals.volume", "COSTALD", 298.0, 369.83, 0.00019927, 0.154),
    case("chemicals.interface", "Brock_Bird", 404.75, 404.75 * 1.3, 663.0, 2.47e6),
    case("chemicals.virial", "BVirial_Tsonopoulos", 510.0, 425.2, 38e5, 0.193),
    case("chemicals.iapws", "iapws95_Ar", 1.7, 2.4),
    case("chemicals.acentric", "LK_omega", 425.6, 631.1, 32.1e5),
    case("control", "dare", A, B, SPD, array([1.3]), pick=0),
    case("control", "lyap", A - np.eye(2), SPD),
    case("control", "ctrb", A, B),
    case("control", "place_acker", A, B, array(0.2, 0.1)),
    case("control.statesp", "ss().horner", 0.3, init=(A, B, B.T, array([0.0]))),
]
