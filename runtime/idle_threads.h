// How threads wait for each other's part of an operator on the CPU.
#pragma once

namespace doppel {

// To be called first in main(). Lets threads that wait soon sleep, where the user's environment does not say how they
// shall (OMP_WAIT_POLICY, GOMP_SPINCOUNT, KMP_BLOCKTIME). OpenMP's threads spin otherwise, and beside other programs
// those that spin take the cores from those they wait for: training then gets far less than its share
// (bench/README.md).
//
// The OpenMP library reads its settings when it is loaded, before main(): so this starts the same program again, with
// the setting, in the same process; it returns in the second start, or where there can be none. Tools that let go of a
// process that starts another program (valgrind, unless told otherwise) want the setting in their environment.
void let_idle_threads_sleep(char** argv);

}  // namespace doppel
