// Maps put into larger ones that are zero elsewhere: y[i] = x[j] where i = first + j step on every axis.
#define THREADS 256

#if HALF
typedef unsigned short Element;
#else
typedef unsigned Element;
#endif

// An axis: its size in y and in x, where x begins and by which steps it goes on, and the distance of x's numbers.
#define AXIS(a) int a##_size, int a##_inner, int a##_first, int a##_step, long long a##_stride

// Where number `i` of y's axis lies in x; -1 where x has none.
__device__ inline int from(int i, int inner, int first, int step) {
    int j = (i - first) / step;
    return (i - first) % step == 0 && j >= 0 && j < inner ? j : -1;
}

// y: (n, h, w, c), without gaps.
extern "C" __global__ void __launch_bounds__(THREADS)
    place(const Element* x, Element* y, AXIS(n), AXIS(h), AXIS(w), AXIS(c)) {
    long long i = (long long)blockIdx.x * THREADS + threadIdx.x;
    if (i >= (long long)n_size * h_size * w_size * c_size) return;
    int c = from(i % c_size, c_inner, c_first, c_step), w = from(i / c_size % w_size, w_inner, w_first, w_step);
    int h = from(i / c_size / w_size % h_size, h_inner, h_first, h_step), n = from(i / c_size / w_size / h_size, n_inner, n_first, n_step);
    bool there = n >= 0 && h >= 0 && w >= 0 && c >= 0;
    y[i] = there ? x[n * n_stride + h * h_stride + w * w_stride + c * c_stride] : 0;
}
