# Fits the universal scalability law with scipy, to the logarithms of rates, for the test in `src/scale/law.rs`.
# Data: the ray tracer in Gunther, "Guerrilla Capacity Planning" (2007), and the data set `specsdm91` of R's package `usl`.
import numpy
from scipy.optimize import least_squares

DATA = {
    "raytracer": [(1, 20), (4, 78), (8, 130), (12, 170), (16, 190), (20, 200), (24, 210), (28, 230), (32, 260),
                  (48, 280), (64, 310)],
    "specsdm91": [(1, 64.9), (18, 995.9), (36, 1652.4), (72, 1853.2), (108, 1828.9), (144, 1775), (216, 1702.2)],
}


def fit(points):
    n, rate = numpy.array(points, dtype=float).T

    def residuals(parameters):
        log_lambda, sigma, kappa = parameters
        law = log_lambda + numpy.log(n) - numpy.log(1 + sigma * (n - 1) + kappa * n * (n - 1))
        return numpy.log(rate) - law

    bounds = ([-numpy.inf, 0, 0], numpy.inf)
    scale = [1, 1e-2, 1e-4]
    return least_squares(residuals, [numpy.log(rate[0]), 0.01, 1e-4], bounds=bounds, x_scale=scale,
                         xtol=1e-15, ftol=1e-15, gtol=1e-15).x


for name, points in DATA.items():
    log_lambda, sigma, kappa = fit(points)
    print(name, "lambda %.6f sigma %.8f kappa %.10f" % (numpy.exp(log_lambda), sigma, kappa))
