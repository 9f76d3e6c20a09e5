// What one writes for NumPy in an afternoon: a pybind11 module with the entropy of rows and ReLU. run.py compiles it twice,
// with -O3 and with -Ofast -march=native, as modules native_O3 and native_Ofast.

#include <algorithm>
#include <cmath>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <thread>
#include <vector>

namespace py = pybind11;

template <typename T> using Array = py::array_t<T, py::array::c_style>;

// Calls work(first, last) for `threads` equal ranges of 0..count.
template <typename Work> void split(py::ssize_t count, int threads, Work work) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back(work, count * i / threads, count * (i + 1) / threads);
  work(0, count / threads);
  for (auto &thread : others) thread.join();
}

// Blocks of about a thousand elements: the logarithms in one flat loop, which vectorizes, then the sums of rows. With
// -Ofast, g++ calls glibc's vector logarithm.
template <typename T> void entropy_range(const T *probs, py::ssize_t rows, py::ssize_t width, T *out) {
  const py::ssize_t at_once = std::max<py::ssize_t>(1, 1024 / width);
  std::vector<T> terms(at_once * width);
  for (py::ssize_t row = 0; row < rows; row += at_once) {
    const py::ssize_t count = std::min(at_once, rows - row);
    const T *p = probs + row * width;
    T *__restrict term = terms.data();
    for (py::ssize_t i = 0; i < count * width; i++) term[i] = p[i] > 0 ? p[i] * std::log(p[i]) : T(0);
    for (py::ssize_t i = 0; i < count; i++) {
      T sum = 0;
      for (py::ssize_t j = 0; j < width; j++) sum += term[i * width + j];
      out[row + i] = -sum;
    }
  }
}

template <typename T> void entropy(Array<T> probs, Array<T> out, int threads) {
  const py::ssize_t rows = probs.shape(0), width = probs.shape(1);
  const T *p = probs.data();
  T *h = out.mutable_data();
  py::gil_scoped_release release;
  split(rows, threads, [=](py::ssize_t first, py::ssize_t last) {
    entropy_range(p + first * width, last - first, width, h + first);
  });
}

template <typename T> void relu(Array<T> values, int threads) {
  T *x = values.mutable_data();
  const py::ssize_t size = values.size();
  py::gil_scoped_release release;
  split(size, threads, [=](py::ssize_t first, py::ssize_t last) {
    for (py::ssize_t i = first; i < last; i++) x[i] = x[i] < 0 ? T(0) : x[i];
  });
}

PYBIND11_MODULE(MODULE, module) {
  module.def("entropy", entropy<float>, py::arg().noconvert(), py::arg().noconvert(), py::arg());
  module.def("entropy", entropy<double>, py::arg().noconvert(), py::arg().noconvert(), py::arg());
  module.def("relu", relu<float>, py::arg().noconvert(), py::arg());
  module.def("relu", relu<double>, py::arg().noconvert(), py::arg());
}
