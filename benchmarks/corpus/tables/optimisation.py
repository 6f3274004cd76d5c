"""Test functions of optimisation and sensitivity analysis, as four packages write them."""
from ..cases import array, case

POINT = [0.63, -1.24, 0.87, 1.91]
TWO = [0.63, -1.24]
SWARM = array([0.63, -1.24], [1.37, 0.82], [-0.58, 2.13])
INPUTS = array([0.63, -1.24, 0.87], [1.9, 0.4, -2.2])
SINGLE = "pyswarms.utils.functions.single_obj"

CASES = [
    case("deap.benchmarks", "ackley", POINT, pick=0),
    case("deap.benchmarks", "rastrigin", POINT, pick=0),
    case("deap.benchmarks", "griewank", POINT, pick=0),
    case("deap.benchmarks", "h1", TWO, pick=0),
    case("deap.benchmarks", "shekel", TWO, [[0.5, 0.5], [0.25, 0.9]], [0.002, 0.005], pick=0),
    case("deap.benchmarks", "dtlz2", [0.43, 0.24, 0.87, 0.61], 3, pick=1),
    case("optproblems.continuous", "branin", TWO),
    case("optproblems.continuous", "six_hump_camelback", TWO),
    case("optproblems.continuous", "goldstein_price", TWO),
    case("optproblems.continuous", "schaffer7", POINT),
    case("optproblems.continuous", "Hartman3().objective_function", [0.3, 0.6, 0.8]),
    case(SINGLE, "ackley", SWARM),
    case(SINGLE, "beale", SWARM),
    case(SINGLE, "rastrigin", SWARM),
    case(SINGLE, "easom", SWARM),
    case(SINGLE, "eggholder", SWARM),
    case(SINGLE, "levi", SWARM),
    case(SINGLE, "holdertable", SWARM),
    case("SALib.test_functions.Ishigami", "evaluate", INPUTS),
    case("SALib.test_functions.Sobol_G", "evaluate", array([0.13, 0.64, 0.87], [0.9, 0.4, 0.22]),
         array(0.0, 1.0, 4.5)),
    case("SALib.test_functions.oakley2004", "evaluate", array([0.6, -0.2], [0.3, 1.1]),
         array([0.4, 1.2], [0.7, -0.3], [0.2, 0.9]), array([0.4, 0.1], [0.1, 0.8])),
]
