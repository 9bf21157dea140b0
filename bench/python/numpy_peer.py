"""numpy's OpenBLAS as a peer of bench: matrix products."""
import numpy
import threadpoolctl

from serve import Lacks, serve


def prepare(c):
    if c["kind"] != "matmul":
        raise Lacks("no " + c["kind"])
    rng = numpy.random.default_rng(1)
    a = rng.standard_normal((c["m"], c["k"]), dtype=numpy.float32)
    b = rng.standard_normal((c["k"], c["n"]), dtype=numpy.float32)
    y = numpy.empty((c["m"], c["n"]), numpy.float32)
    return lambda: numpy.matmul(a, b, out=y)


if __name__ == "__main__":
    blas = threadpoolctl.ThreadpoolController()
    info = blas.info()[0]
    serve(
        f"OpenBLAS {info['version']} ({info['architecture']}) in numpy {numpy.__version__}",
        prepare, lambda n: blas.limit(limits=n))
