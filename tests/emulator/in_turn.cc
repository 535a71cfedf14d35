// The kernels of these tests do not wait for those before them (kernels/device/early_start.h): cards start them in turn.
#include <cstdlib>

[[maybe_unused]] static const int kInTurn = setenv("DOPPEL_WITHOUT", "early_start", 1);
