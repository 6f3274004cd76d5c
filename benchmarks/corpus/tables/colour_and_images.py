"""Colour science, image metrics, and fuzzy membership functions."""
from ..cases import array, case

XYZ = array(0.206, 0.122, 0.051)
WHITE = array(95.05, 100.0, 108.88)
LAB = array(48.3, 27.1, -19.4)
OTHER_LAB = array(51.7, 22.8, -12.6)
RGB = array(0.46, 0.31, 0.13)
IMAGE = array([0.1, 0.52, 0.83, 0.34], [0.45, 0.71, 0.26, 0.67], [0.93, 0.15, 0.58, 0.39],
              [0.22, 0.64, 0.47, 0.88])
SHIFTED = 0.9 * IMAGE[::-1] + 0.04
UNIVERSE = array(0.5, 1.7, 2.4, 3.6, 4.9)

CASES = [
    case("colour", "XYZ_to_Lab", XYZ),
    case("colour", "XYZ_to_Luv", XYZ),
    case("colour", "XYZ_to_xyY", XYZ),
    case("colour", "Lab_to_XYZ", LAB),
    case("colour", "XYZ_to_Oklab", XYZ),
    case("colour", "XYZ_to_RGB", XYZ, "sRGB"),
    case("colour.models", "XYZ_to_Jzazbz", XYZ),
    case("colour.models", "XYZ_to_Hunter_Lab", 100 * XYZ),
    case("colour.models", "RGB_to_HSV", RGB),
    case("colour.models", "eotf_inverse_sRGB", RGB),
    case("colour.difference", "delta_E_CIE2000", LAB, OTHER_LAB),
    case("colour.difference", "delta_E_CMC", LAB, OTHER_LAB, wrt=1),
    case("colour.appearance", "XYZ_to_CIECAM02", 100 * XYZ, WHITE, 318.3, 20.0, pick=".J"),
    case("colour.temperature", "CCT_to_xy_CIE_D", 6504.4),
    case("colour.temperature", "xy_to_CCT_McCamy1992", array(0.3127, 0.329)),
    case("colour.colorimetry", "planck_law", 5.55e-7, 5400.0, wrt=1),
    case("colour.phenomena", "scattering_cross_section", 5.55e-5),
    case("skimage.color", "rgb2lab", RGB),
    case("skimage.color", "lab2xyz", LAB),
    case("skimage.color", "rgb2hsv", RGB),
    case("skimage.color", "rgb2luv", RGB),
    case("skimage.color", "rgb2gray", RGB),
    case("skimage.color", "deltaE_ciede2000", LAB, OTHER_LAB),
    case("skimage.color", "deltaE_ciede94", LAB, OTHER_LAB),
    case("skimage.metrics", "structural_similarity", IMAGE, SHIFTED, win_size=3, data_range=1.0),
    case("skimage.metrics", "normalized_root_mse", IMAGE, SHIFTED, wrt=1),
    case("skimage.metrics", "peak_signal_noise_ratio", IMAGE, SHIFTED, data_range=1.0),
    case("skimage.exposure", "adjust_gamma", IMAGE, 1.7),
    case("skimage.exposure", "adjust_sigmoid", IMAGE),
    case("skimage.restoration", "denoise_tv_chambolle", IMAGE, 0.1, max_num_iter=4, eps=0.0),
    case("skimage.measure", "moments_hu", IMAGE),
    case("skimage.filters", "sobel", IMAGE),
    case("skfuzzy", "gaussmf", UNIVERSE, 2.1, 0.8, wrt=1),
    case("skfuzzy", "gbellmf", UNIVERSE, 1.3, 2.2, 2.9),
    case("skfuzzy", "sigmf", UNIVERSE, 2.2, 1.4, wrt=2),
    case("skfuzzy", "smf", UNIVERSE, 0.9, 4.1),
    case("skfuzzy", "trimf", UNIVERSE, array(0.8, 2.1, 4.3)),
    case("skfuzzy", "centroid", UNIVERSE, array(0.1, 0.5, 0.9, 0.6, 0.2), wrt=1),
]
