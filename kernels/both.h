// Formulas written once for every backend: DOPPEL_BOTH stands before a function that runs on the host and on the
// device.
#pragma once

#if defined(__CUDACC__)
#define DOPPEL_BOTH __host__ __device__
#else
#define DOPPEL_BOTH
#endif
