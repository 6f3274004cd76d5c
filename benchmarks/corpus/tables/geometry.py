"""Earth and space: geodesy, rotations, attitude, kriging, orbits seen as geometry."""
import numpy as np

from ..cases import array, case

Q = array(0.8, 0.3, -0.4, 0.33)
UNIT = Q / np.sqrt(np.sum(Q**2))
OTHER = array(0.5, -0.5, 0.5, 0.5)
AXIS = array(0.3, -0.7, 0.64)
ROTATION = array([0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6])
ECEF = (660675.3, -4700948.2, 4245737.7)
PLACE = (42.1, -82.3, 210.0)
DOWN = array(0.4, -0.9, 9.6)
NORTH = array(18.2, 2.7, -41.3)

CASES = [
    case("pymap3d", "geodetic2ecef", *PLACE, pick=0),
    case("pymap3d", "ecef2geodetic", *ECEF, pick=0),
    case("pymap3d", "geodetic2aer", 42.3, -82.1, 1300.0, *PLACE, pick=2),
    case("pymap3d", "enu2aer", array(182.0, 96.0), array(-83.0, 41.0), array(31.0, 77.0), pick=1),
    case("pymap3d", "geodetic2isometric", 42.1),
    case("pymap3d", "ecef2enu", *ECEF, *PLACE, wrt=2, pick=2),
    case("pymap3d.rcurve", "meridian", array(12.3, 54.6)),
    case("pymap3d.vincenty", "vdist", 10.2, 20.4, 11.3, 22.9, pick=0),
    case("pymap3d.vincenty", "vreckon", 10.2, 20.4, 30000.0, 38.0, wrt=2, pick=0),
    case("pymap3d.lox", "loxodrome_inverse", 40.2, -80.1, 65.4, -148.3, pick=0),
    case("haversine.haversine", "haversine", (45.76, 4.84), (48.86, 2.35)),
    case("haversine.haversine", "haversine_vector", array([45.76, 4.84]), array([48.86, 2.35])),
    case("transforms3d.quaternions", "quat2mat", Q),
    case("transforms3d.quaternions", "mat2quat", ROTATION),
    case("transforms3d.quaternions", "qmult", Q, OTHER),
    case("transforms3d.quaternions", "qlog", UNIT),
    case("transforms3d.euler", "euler2mat", 0.4, -0.7, 1.1, wrt=1),
    case("transforms3d.euler", "mat2euler", ROTATION + 0.01, pick=0),
    case("transforms3d.axangles", "axangle2mat", AXIS, 0.6),
    case("transforms3d.affines", "compose", DOWN, ROTATION, array(1.2, 0.8, 2.1), wrt=2),
    case("transforms3d.shears", "striu2mat", array(0.3, -0.2, 0.7)),
    case("spatialmath.base", "rpy2r", 0.4, -0.7, 1.1),
    case("spatialmath.base", "trexp", array(0.3, -0.7, 0.64)),
    case("spatialmath.base", "tr2rpy", ROTATION),
    case("spatialmath.base", "qslerp", UNIT, OTHER, 0.3, wrt=2),
    case("spatialmath.base", "angvec2r", 0.6, AXIS, wrt=1),
    case("pyrr.quaternion", "slerp", UNIT, OTHER, 0.3),
    case("pyrr.matrix33", "create_from_quaternion", Q),
    case("pyrr.matrix44", "create_look_at", array(0.3, 1.2, 2.4), AXIS, array(0.1, 0.9, 0.2)),
    case("pyrr.vector3", "normalize", DOWN),
    case("pyrr.geometric_tests", "point_closest_point_on_line", DOWN, np.array([AXIS, NORTH])),
    case("ahrs.common.orientation", "q2R", UNIT),
    case("ahrs.common.orientation", "ecompass", DOWN, NORTH),
    case("ahrs.common.orientation", "q_prod", Q, OTHER),
    case("ahrs.common.orientation", "sarabandi", ROTATION),
    case("ahrs.utils", "welmec_gravity", 52.3, 80.0),
    case("ahrs.filters", "Mahony().updateIMU", UNIT, array(0.1, -0.2, 0.05), DOWN, wrt=1),
    case("ahrs.common.frames", "ecef2lla", *ECEF),
    case("pykrige.variogram_models", "gaussian_variogram_model", [1.3, 4.2, 0.2],
         array(0.7, 2.9)),
    case("pykrige.variogram_models", "spherical_variogram_model", [1.3, 4.2, 0.2],
         array(0.7, 2.9, 5.1), wrt=1),
    case("pykrige.variogram_models", "hole_effect_variogram_model", [1.3, 4.2, 0.2],
         array(0.7, 2.9), wrt=1),
    case("pykrige.core", "great_circle_distance", 4.84, 45.76, 2.35, 48.86),
    case("pykrige.core", "_adjust_for_anisotropy", array([0.4, 1.2], [2.3, 0.6]), [0.1, 0.2],
         [1.7], [35.0]),
    case("astropy.coordinates", "angular_separation", 0.3, 0.7, 1.1, -0.2),
    case("astropy.modeling.rotations", "spherical2cartesian", 0.4, 0.9),
]
